// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Why this node believes what it does of a cluster or a node, or denies a flow.",
        discussion: """
            weft why beta        what happened to the paths to cluster beta, and what was done
            weft why beta/b-1    the same of one node
            weft why shop/web beta:shop/db 5432
                                 what policies say to such a flow, as weft policy trace
            """)

    @Argument(help: "CLUSTER or CLUSTER/NODE; of a flow, its source.") var subject: String
    @Argument(help: "The flow's destination.") var destination: String?
    @Argument(help: "PORT, PORT/udp, PORT/sctp or icmp.") var traffic: String?
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (destination == nil) == (traffic == nil) else {
            throw ValidationError("A flow needs its port, too: weft why SOURCE DESTINATION PORT")
        }
    }

    func run() async throws {
        guard let destination, let traffic else {
            return try output.show(try await agent.reading.why(subject), Self.render)
        }
        let answer = try await agent.reading.trace(
            from: subject, to: destination, traffic: traffic)
        try output.show(answer) { $0.text }
    }

    static func render(_ story: HealthStory) -> String {
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
