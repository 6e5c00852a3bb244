// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct DropsCommand: ReadingCommand {
    static let configuration = CommandConfiguration(
        commandName: "drops", abstract: "How many packets this node dropped, and why.")

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions
    @Flag(help: "Show reasons that never happened, too.") var all = false

    func ask(_ client: AdminClient) async throws -> [DropCount] {
        try await client.drops().filter { all || $0.packets > 0 }
    }

    func render(_ drops: [DropCount]) -> String {
        Table(["REASON", .right("PACKETS"), .right("BYTES"), "MEANING"], rows: drops) {
            [$0.label, "\($0.packets)", Format.bytes($0.bytes), $0.sentence]
        }.text
    }
}
