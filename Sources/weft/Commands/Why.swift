// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract:
            "Why a flow gets through or doesn't; why a cluster or node is held for what it is.",
        discussion: """
            Of a flow: who sends it, which backends it may be sent to, what policies on both sides say, \
            and what the path is like; the first line is the answer. Exits with 8 if the flow stops. \
            Ends are [CLUSTER:][NAMESPACE/]NAME of an endpoint or a service, an address, world, host \
            or remote-node. Without a port: the service's, or a ping. The agents of both ends are asked, on \
            any node of the cluster; the answer says whose word it is, and who said nothing. Other \
            clusters aren't asked: their side is judged by their ledger.

            Of a cluster or a node: what happened to the paths to it, and what was done.

              weft why shop/web-0 shop/db:5432
              weft why shop/web-0 beta:shop/dns:53/udp
              weft why client 10.96.0.7:80 -o json
              weft why beta
              weft why beta/b-1
            """)

    @Argument(
        help: ArgumentHelp(
            "A flow's source; or, alone, CLUSTER or CLUSTER/NODE.", valueName: "subject"))
    var subject: String
    @Argument(
        help: ArgumentHelp(
            "The flow's destination, with :PORT, :PORT/udp, :PORT/sctp or :icmp behind it.",
            valueName: "destination"))
    var destination: String?
    @Argument(
        help: ArgumentHelp("The port, if it isn't behind the destination.", valueName: "port"))
    var traffic: String?
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        guard let destination else {
            return try output.show(try await agent.reading.why(subject), Self.render)
        }
        let story = try await agent.reading.why(
            from: subject, to: destination, traffic: traffic)
        try output.show(story) { $0.text() }
        if story.outcome == .stops { throw ExitCode.stops }
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
