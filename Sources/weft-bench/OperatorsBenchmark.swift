// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab

/// What operators wait for, and what their looking costs.
struct OperatorsBenchmark: AsyncParsableCommand {
    enum Part: String, CaseIterable, ExpressibleByArgument {
        case metrics, verbs, events, connectivity
    }

    static let configuration = CommandConfiguration(
        commandName: "operators",
        abstract: "What operators wait for, and what their looking costs.",
        discussion: """
            metrics: scrapes of an agent with many services, its unix socket read to the end; and how \
            many series there are.

            verbs: one agent that holds 1,000 clusters with 100,000 endpoints, read from its disk; nobody \
            answers in those clusters. How long each command takes from its start to its end, a scrape, \
            and the page's documents; and the processor time of command and agent, which says more \
            on a machine that has other work.

            events: connections a second across two clusters with flow events and without, in pairs; a \
            ratio of 1 is as many.

            connectivity: how long weft connectivity test takes in a lab.
            """)

    @OptionGroup var options: BenchOptions
    @Option(help: "One part alone: \(Part.allCases.map(\.rawValue).joined(separator: ", ")).")
    var only: Part?

    func run() async throws {
        let weft = try options.product()
        tell("load of the machine: \(try load())")
        for part in Part.allCases where only == nil || only == part {
            switch part {
            case .metrics: try await ScrapeCost(weft: weft, isQuick: options.quick).run()
            case .verbs: try await VerbCost(weft: weft, isQuick: options.quick).run()
            case .events: try await EventCost(weft: weft, isQuick: options.quick).run()
            case .connectivity: try await ConnectivityCost(weft: weft).run()
            }
        }
        tell("load of the machine: \(try load())")
    }

    /// Means of 1, 5 and 15 minutes.
    private func load() throws -> String {
        let text = String(decoding: try fileContents("/proc/loadavg"), as: UTF8.self)
        return text.split(separator: " ").prefix(3).joined(separator: " ")
    }
}

/// How long `weft connectivity test` takes.
struct ConnectivityCost {
    private static let lab = "benchconnect"

    let weft: String

    func run() async throws {
        try await withLab(Self.lab, .builtIn, weft: weft) { _ in
            let begin = monotonicNow()
            let text = try Subprocess(
                [weft, "connectivity", "test", "--lab", Self.lab, "-o", "json"]
            ).finish()
            let seconds = milliseconds(from: begin, to: monotonicNow()) / 1000
            Figure("operators.connectivity.duration", seconds, "s", goal: "value<=60").report()
            let checks = text.split(separator: "\n").count { $0.contains("\"outcome\"") }
            Figure("operators.connectivity.checks", Double(checks), "").report()
        }
    }
}
