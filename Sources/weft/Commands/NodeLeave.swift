// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

extension NodeCommand {
    struct Leave: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "leave",
            abstract: "Take the agent's node out of service in order, and wait until it is out.",
            discussion: """
                The node takes no new connections, from anywhere, while others serve; those that \
                are open finish; another node becomes a relay in its place. Then it says that it \
                goes, and may be stopped: nobody takes it for dead. It stays out, through restarts \
                too, until 'weft node rejoin'.

                  weft node leave
                  weft node leave --timeout 5m --no-wait
                """)

        private static let look = Duration.milliseconds(500)

        @Option(
            help: ArgumentHelp(
                "How long to wait for what is open; then it goes all the same.",
                valueName: "duration"))
        var timeout: DurationArgument = "60s"
        @Flag(help: "Return at once; 'weft node leave' again shows how far it is.")
        var noWait = false
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let client = agent.administration
            let components = timeout.duration.components
            let seconds = Double(components.seconds) + Double(components.attoseconds) / 1e18
            var status = try await client.depart(DepartureRequest(timeoutSeconds: seconds))
            var said: [String] = []
            while !noWait, status.phase == .draining {
                if output.output == .table, status.open != said {
                    said = status.open
                    for sentence in said { Console.out("waiting: \(sentence)\n") }
                }
                try await Task.sleep(for: Self.look)
                status = try await client.departure()
            }
            try output.show(status, Self.sentence)
        }

        static func sentence(of status: DepartureStatus) -> String {
            switch status.phase {
            case .serving: return "This node takes new connections.\n"
            case .draining:
                let rest = status.remainingSeconds.map { " within \(Format.age($0))" } ?? ""
                return "This node leaves\(rest): no new connections, open ones finish.\n"
                    + status.open.map { "  \($0)\n" }.joined()
            case .left:
                return "This node has left its cluster and may be stopped.\n"
                    + status.open.map { "  left open: \($0)\n" }.joined()
            }
        }
    }

    struct Rejoin: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rejoin",
            abstract: "Put the agent's node into service again, or call 'weft node leave' off.",
            discussion: """
                  weft node rejoin
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let status = try await agent.administration.depart(
                DepartureRequest(timeoutSeconds: nil))
            try output.show(status, Leave.sentence)
        }
    }
}
