// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

extension NodeCommand {
    struct Keys: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "keys", abstract: "The keys that the agent's node gossips with.",
            discussion: """
                One, or two while a new one takes the old one's place: that is told, then used by \
                each node that knows it, and the old one removed when all do.

                  weft node keys
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [GossipKeyStatus] {
            try await client.gossipKeys()
        }

        func render(_ keys: [GossipKeyStatus]) -> String { NodeCommand.table(of: keys) }
    }

    struct RotateKey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate-key",
            abstract: "Give the agent's node a new key to gossip with.",
            discussion: """
                Nothing is refused meanwhile: each node uses the new key when it knows it. The old \
                one goes when all do, after one to two minutes. Keys change once a day without \
                this, and with each start of an agent.

                  weft node rotate-key
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try output.show(
                try await agent.administration.rotateGossipKey(), NodeCommand.table)
        }
    }

    static func table(of keys: [GossipKeyStatus]) -> String {
        Table(["KEY", .right("AGE"), "STATE", .right("USED BY")], rows: keys) { key in
            [
                key.key, Format.age(key.ageSeconds),
                key.isNewest ? "in force" : "until all know the next",
                "\(key.users) of \(key.nodes)",
            ]
        }.text
    }
}
