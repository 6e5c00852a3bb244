// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshLab

struct ConnectivityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connectivity", abstract: "Prove that workloads reach each other.",
        subcommands: [Test.self, Serve.self])

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "test",
            abstract: "Make endpoints, ask between them, and remove them again.",
            discussion: """
                In a lab, every node helps: endpoints on one node, on two, and in other clusters; \
                IPv4 and IPv6; TCP and UDP, single packets, full ones, many and fragments; a \
                service of all clusters; what a policy allows and denies; and a service that moves \
                to another cluster and back while it is asked.

                On a real node only its own agent can be asked: two endpoints of this node, and \
                servers that 'weft connectivity serve' has put on others. Services, policies and \
                failover are tested in labs only.

                Needs root and the administration socket. Everything it makes is its own, in the \
                namespace weft-connectivity-test, and is removed when the test ends, fails or is \
                interrupted; what a killed one left goes with the next run.

                  weft connectivity test --lab demo
                  weft connectivity test --socket /run/weft/weft.sock --server 10.2.1.7
                  weft connectivity test --lab demo -o json | jq 'select(.outcome == "failed")'

                Exits with 1 if a check failed. With -o json: a line a check, and one with the sums.
                """)

        @Option(
            name: .customLong("lab"),
            help: ArgumentHelp("Test this lab, not the node here.", valueName: "name"))
        var lab: String?
        @Option(
            name: .customLong("server"),
            help: ArgumentHelp(
                "Address of a server that 'weft connectivity serve' prints; may be repeated.",
                valueName: "address"))
        var servers: [String] = []
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard lab == nil || servers.isEmpty else {
                throw ValidationError("In a lab all servers are known: leave --server out.")
            }
        }

        func run() async throws {
            try checkIsRoot("it makes network namespaces")
            let format = output.output
            let report: @Sendable ([ConnectivityResult]) -> Void = { Self.tell($0, format) }
            let test =
                if let lab {
                    ConnectivityTest(in: try Lab(named: lab), report: report)
                } else {
                    try await ConnectivityTest(
                        on: agent.administration, servers: servers, report: report)
                }
            let start = ContinuousClock.now
            let (results, wasInterrupted) = try await interruptible { try await test.run() }
            let summary = ConnectivitySummary(
                results, seconds: (ContinuousClock.now - start) / .seconds(1))
            switch format {
            case .json: try Self.line(summary)
            case .table: Console.out(Self.sentence(summary))
            }
            if wasInterrupted {
                Console.error("interrupted before all was tested; everything is removed\n")
            }
            guard summary.failed == 0, !wasInterrupted else { throw ExitCode.failure }
        }

        static func sentence(_ summary: ConnectivitySummary) -> String {
            let skipped = summary.skipped == 0 ? "" : ", \(summary.skipped) skipped"
            return "\(summary.passed) checks passed, \(summary.failed) failed\(skipped), in "
                + "\(Format.age(summary.seconds)); nothing of it is left.\n"
        }

        private static func tell(_ group: [ConnectivityResult], _ format: OutputFormat) {
            switch format {
            case .table: Console.out(text(group))
            case .json:
                for result in group {
                    // A result consists of strings and numbers.
                    try? line(result)
                }
            }
        }

        private static func line(_ value: some Encodable) throws {
            Console.out(String(decoding: try adminJSON(value), as: UTF8.self) + "\n")
        }

        /// A line a group, and below it what is wrong.
        static func text(_ group: [ConnectivityResult]) -> String {
            guard let first = group.first else { return "" }
            let bad = group.filter { $0.outcome != .passed }
            let names = group.map(\.check)
            let what =
                group.count == 1
                ? names[0] : "\(group.count - bad.count) of \(group.count) checks"
            let slowest = Format.age(group.map(\.seconds).max())
            var text = "\(bad.isEmpty ? "ok  " : "FAIL") \(first.group): \(what) (\(slowest))\n"
            for result in bad {
                let reason = result.reason.map { ": \($0)" } ?? ""
                text += "       \(result.outcome.rawValue) \(result.check)\(reason)\n"
                for sentence in result.evidence { text += "         - \(sentence)\n" }
            }
            return text
        }
    }

    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "serve",
            abstract: "Be a server for tests on other nodes, until interrupted.",
            discussion: """
                Makes one endpoint on this node, prints its addresses for 'weft connectivity test \
                --server ADDRESS' elsewhere, and removes it when interrupted. Needs root and the \
                administration socket.

                  weft connectivity serve
                """)

        @OptionGroup var agent: AgentOptions

        func run() async throws {
            try checkIsRoot("it makes a network namespace")
            let server = try await ConnectivityServer(on: agent.administration)
            _ = try await interruptible {
                try await server.run { addresses in
                    let options = addresses.map { "--server \($0)" }.joined(separator: " ")
                    Console.out("weft connectivity test \(options)\n")
                }
            }
        }
    }
}
