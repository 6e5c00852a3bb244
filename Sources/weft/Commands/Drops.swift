// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshAdmin

struct DropsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drops", abstract: "How many packets this node dropped, and why.",
        discussion: """
            weft drops       counts by reason
            weft drops -f    each flow that packets are dropped of, as it happens, with the policy that
                             denied it; and what policies that are tried out would deny
            """)

    @Flag(name: .shortAndLong, help: "Show what is dropped from now on, with -o json a line each.")
    var follow = false
    @Flag(help: "Show reasons that never happened, too.") var all = false
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        guard follow else {
            let drops = try await agent.reading.drops().filter { all || $0.packets > 0 }
            return try output.show(drops, Self.table)
        }
        let start = Int64(Date().timeIntervalSince1970 * 1000)
        try await agent.reading.flows(follow: true) { flow in
            guard flow.verdict != .forwarded || flow.type == .audited,
                flow.timeUnixMilliseconds >= start
            else { return }
            switch output.output {
            case .table: Console.out(FlowsCommand.line(flow) + "\n")
            case .json: Console.out(String(decoding: try adminJSON(flow), as: UTF8.self) + "\n")
            }
        }
    }

    static func table(_ drops: [DropCount]) -> String {
        Table(["REASON", .right("PACKETS"), .right("BYTES"), "MEANING"], rows: drops) {
            [$0.label, "\($0.packets)", Format.bytes($0.bytes), $0.sentence]
        }.text
    }
}
