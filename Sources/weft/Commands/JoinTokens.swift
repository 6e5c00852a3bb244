// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

extension JoinCommand {
    struct Tokens: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "tokens", abstract: "Tokens that were made here, and to take one back.",
            discussion: """
                On the cluster's home. What can be used is never shown again: nobody has it but \
                whoever it was given to.
                """,
            subcommands: [List.self, Revoke.self], defaultSubcommand: List.self)
    }
}

extension JoinCommand.Tokens {
    struct List: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Who has a token, and what became of it (the default).",
            discussion: """
                Until a day after a token has expired.

                  weft join tokens
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [TokenStatus] {
            try await client.tokens()
        }

        func render(_ tokens: [TokenStatus]) -> String {
            Table(["TOKEN", "FOR", "STATE", "MADE", "EXPIRES", "SHOWN BY"], rows: tokens) {
                [
                    $0.id, $0.subject, $0.state.rawValue,
                    Format.date(unixSeconds: Int64(clamping: $0.issuedUnixSeconds)),
                    Format.date(unixSeconds: Int64(clamping: $0.expiresUnixSeconds)),
                    $0.holder ?? "",
                ]
            }.text
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Take a token back: nobody can use it any more.",
            discussion: """
                Who has joined with it stays: for a cluster there is 'weft cluster forget', for a \
                node's certificate 'weft ca deny'.

                  weft join tokens revoke 00000000000000ff
                """)

        @Argument(help: ArgumentHelp("As 'weft join tokens' shows it.", valueName: "token"))
        var id: String
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let token = try await agent.administration.revoke(token: id)
            try output.show(token) {
                "Token \($0.id) for \($0.subject) is taken back; it was \($0.state.rawValue).\n"
            }
        }
    }
}
