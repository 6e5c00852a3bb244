// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct DropsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drops", abstract: "How many packets this node dropped, and why.",
        discussion: """
            weft drops                   counts by reason
            weft drops -f                each flow that packets are dropped of, as it happens, with the
                                         policy that denied it; and what policies that are tried out would
                                         deny
            weft drops -f -A -n shop     those of a namespace, of every node of the cluster
            """)

    @Flag(name: .shortAndLong, help: "Show what is dropped from now on, with -o json a line each.")
    var follow = false
    @Flag(name: [.customShort("A"), .long], help: "With -f: of every node of this cluster.")
    var allNodes = false
    @Flag(help: "Show reasons that never happened, too.") var all = false
    @OptionGroup(title: "Filters, with -f") var filters: FlowOptions
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        let hasFilters = try !filters.filter().isEmpty
        guard follow || !(allNodes || hasFilters) else {
            throw ValidationError("Counts are a node's, of all flows: -A and filters need -f.")
        }
    }

    func run() async throws {
        guard follow else {
            let drops = try await agent.reading.drops().filter { all || $0.packets > 0 }
            return try output.show(drops, Self.table)
        }
        let question = FlowQuestion(
            try filters.filter(and: ["!type=opened", "!type=closed"]), last: 0, follow: true,
            allNodes: allNodes)
        let printer = FlowPrinter(format: output.output)
        try await agent.reading.show(question, printer)
    }

    static func table(_ drops: [DropCount]) -> String {
        Table(["REASON", .right("PACKETS"), .right("BYTES"), "MEANING"], rows: drops) {
            [$0.label, "\($0.packets)", Format.bytes($0.bytes), $0.sentence]
        }.text
    }
}
