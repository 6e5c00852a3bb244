// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct IdentityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identity", abstract: "What the numbers in packets mean.",
        subcommands: [List.self])

    struct List: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Every identity that this node knows.",
            discussion: """
                  weft identity list
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [IdentityStatus] {
            try await client.identities()
        }

        func render(_ identities: [IdentityStatus]) -> String {
            Table(
                ["IDENTITY", .right("NUMBER"), "CLUSTER", .right("ENDPOINTS"), "LABELS"],
                rows: identities
            ) {
                [
                    Format.identity($0.identity), "\($0.identity)", $0.cluster?.name ?? "",
                    "\($0.endpoints)", $0.reservedName ?? Format.labels($0.labels),
                ]
            }.text
        }
    }
}
