// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct WhyCommand: ReadingCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Why this node believes what it does about a cluster or a node.",
        discussion: """
            weft why beta        what happened to the paths to cluster beta, and what was done
            weft why beta/b-1    the same of one node
            """)

    @Argument(help: "CLUSTER or CLUSTER/NODE.") var subject: String
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func ask(_ client: AdminClient) async throws -> HealthStory { try await client.why(subject) }

    func render(_ story: HealthStory) -> String {
        var lines = [
            "\(story.subject) is \(story.verdict.rawValue) since "
                + "\(Format.age(story.sinceSeconds)), weight \(story.weight) of 255."
        ]
        if let sentence = story.capacity?.sentence { lines.append(sentence) }
        if let hearsay = story.hearsay { lines.append("As to its cause: \(hearsay).") }
        if let member = story.membership {
            let accusers = member.accusers.joined(separator: ", ")
            lines.append(
                "The members of the cluster hold it for \(member.state)"
                    + (accusers.isEmpty ? "." : ", accused by \(accusers)."))
        }
        for path in story.paths {
            let beat = path.lastBeatSeconds.map { "last heartbeat \(Format.age($0)) ago" }
            lines.append(
                "Path \(path.localRelay) - \(path.remoteNode): \(path.state.rawValue), "
                    + (beat ?? "no heartbeat yet")
                    + (path.overlay == .silent
                        ? ": the underlay answers, the overlay doesn't." : "."))
        }
        guard !story.events.isEmpty else {
            return (lines + ["Nothing has happened since this agent started."])
                .joined(separator: "\n") + "\n"
        }
        let table = Table(
            [.right("AGO"), "ABOUT", "WHAT"], rows: story.events
        ) { [Format.age($0.secondsAgo), $0.subject, $0.text] }.text
        return lines.joined(separator: "\n") + "\n\n" + table
    }
}
