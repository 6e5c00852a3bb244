// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "The nodes of every cluster.",
        subcommands: [
            List.self, Join.self, Leave.self, Rejoin.self, Keys.self, RotateKey.self,
        ])

    struct List: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "What this node believes about every node.",
            discussion: """
                  weft node list
                  weft node list -o json
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [NodeStatus] { try await client.nodes() }

        func render(_ nodes: [NodeStatus]) -> String {
            Table(
                [
                    "CLUSTER", "NODE", .state("VERDICT"), .right("SINCE"), .right("WEIGHT"),
                    "RELAY",
                    .state("MEMBER"), "UNDERLAY", "POD PREFIXES", .right("ENDPOINTS"),
                ], rows: nodes
            ) {
                [
                    $0.cluster.name, $0.isLocal ? "\($0.name) (this)" : $0.name,
                    $0.verdict.rawValue, Format.age($0.sinceSeconds), "\($0.weight)",
                    Format.yes($0.isRelay), member($0.membership),
                    $0.outerAddresses.joined(separator: ","),
                    $0.podPrefixes.joined(separator: ","), "\($0.endpoints)",
                ]
            }.text
        }

        private func member(_ status: MembershipStatus?) -> String {
            guard let status else { return "" }
            return status.accusers.isEmpty
                ? status.state : "\(status.state) (\(status.accusers.joined(separator: ", ")))"
        }
    }
}
