// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshAgent

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Who may talk to whom, and which policy says so.",
        subcommands: [List.self, Get.self, Check.self, PolicyTraceCommand.self])

    struct List: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Policies of this cluster, in the order in which they decide.",
            discussion: """
                  weft policy list
                  weft policy list -w
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [PolicyStatus] {
            try await client.policies()
        }

        func render(_ policies: [PolicyStatus]) -> String {
            Table(
                [
                    "KIND", "NAMESPACE", "NAME", "TIER", .right("PRIORITY"), .right("RULES"),
                    .right("ENDPOINTS HERE"), .state("STATE"),
                ], rows: policies
            ) {
                [
                    $0.kind, $0.namespace ?? "", $0.name, $0.tier,
                    $0.priority.map(String.init) ?? "", "\($0.rules)", "\($0.endpointsHere)",
                    $0.state.rawValue + ($0.problem.map { ": \($0)" } ?? ""),
                ]
            }.text
        }
    }

    struct Get: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "get", abstract: "What a policy means, and whom it selects.",
            discussion: """
                weft policy get NetworkPolicy shop/db
                weft policy get ClusterNetworkPolicy deny-metadata
                """)

        @Argument(help: "NetworkPolicy, ClusterNetworkPolicy and so on.") var kind: String
        @Argument(help: "NAMESPACE/NAME, or NAME of a kind without namespace.") var name: String
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> PolicyMeaning {
            try await client.policy("\(kind)/\(name)")
        }

        func render(_ meaning: PolicyMeaning) -> String {
            let here = meaning.endpointsHere ?? []
            return meaning.text
                + (here.isEmpty
                    ? "It selects no endpoint of this node.\n"
                    : "Endpoints of this node: \(here.joined(separator: ", "))\n")
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "What a file of policies would mean here, and what may not be meant so.",
            discussion: """
                Changes nothing. Ends with 1 if the file can't be used.

                weft policy check policies.yaml
                """)

        @Argument(help: "YAML or JSON, 4 MiB at most.") var file: String
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let manifest = try InputFile.read(file, bytesMaximum: AdminServer.manifestBytesMaximum)
            let answer = try await agent.reading.checkPolicies(manifest)
            try output.show(answer) { answer in
                guard answer.problems.isEmpty else {
                    return answer.problems.map { "\(file):\($0)\n" }.joined()
                }
                guard !answer.policies.isEmpty else { return "There is no policy in the file.\n" }
                return answer.policies.map(\.text).joined(separator: "\n")
            }
            guard answer.problems.isEmpty else { throw ExitCode.failure }
        }
    }
}

extension PolicyMeaning {
    fileprivate var text: String {
        (["\(policy)"] + sentences.map { "  \($0)" } + findings.map { "  NOTE: \($0)" })
            .joined(separator: "\n") + "\n"
    }
}
