// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshLab

/// What operators wait for, and what their looking costs.
struct OperatorsBenchmark: AsyncParsableCommand {
    enum Part: String, CaseIterable, ExpressibleByArgument {
        case metrics
    }

    static let configuration = CommandConfiguration(
        commandName: "operators",
        abstract: "What operators wait for, and what their looking costs.",
        discussion: """
            metrics: scrapes of an agent with many services, its unix socket read to the end; and how \
            many series there are.
            """)

    @OptionGroup var options: BenchOptions
    @Option(help: "One part alone: \(Part.allCases.map(\.rawValue).joined(separator: ", ")).")
    var only: Part?

    func run() async throws {
        let weft = try options.product()
        for part in Part.allCases where only == nil || only == part {
            switch part {
            case .metrics: try await ScrapeCost(weft: weft, isQuick: options.quick).run()
            }
        }
    }
}
