// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab
import MeshModel

/// From a file written in one cluster to the kernel map of a node in another, by way of both
/// clusters' publishers.
struct PropagationBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "propagation",
        abstract: "How fast another cluster's kernel knows a changed file; an idle agent's memory.",
        discussion: """
            Files are renamed into the folder of beta's publisher; the maps are those of alpha's \
            second node, which is no publisher.
            """)
    private static let lab = "benchprop"
    private static let service = "answer"
    private static let port: UInt16 = 80
    private static let burst = 200
    private static let limit = Duration.seconds(20)
    private static let calm = Duration.milliseconds(500)

    @OptionGroup var options: BenchOptions

    func run() async throws {
        let weft = try options.product()
        try await withLab(Self.lab, try labFile(), weft: weft) { lab in
            try await Task.sleep(for: .seconds(2))
            try AgentMemory(lab: lab).report()
            let watch = try Watch(lab: lab, service: Self.service, port: Self.port)
            try await changes(watch)
            try await bursts(watch, fileCount: 1, "one-file")
            try await bursts(watch, fileCount: Self.burst, "files")
        }
    }

    /// One endpoint takes another's place.
    private func changes(_ watch: borrowing Watch) async throws {
        var times = Sample()
        for number in 0..<(options.quick ? 40 : 200) {
            let address = watch.address(number % Self.burst)
            let begin = try watch.stage([address], file: "change").place()
            times.add(milliseconds(from: begin, to: try watch.await([address], Self.limit)))
            // Not in step with anybody's timer.
            try await Task.sleep(for: .microseconds(Int.random(in: 20_000...60_000)))
        }
        for (name, share, goal) in [("p50", 0.5, "value<=10"), ("p99", 0.99, "value<=25")] {
            Figure("propagation.\(name)", times.percentile(share), "ms", goal: goal).report()
        }
        try watch.remove("change")
        _ = try watch.await([], Self.limit)
    }

    /// Many endpoints at once, in one file or one each.
    private func bursts(_ watch: borrowing Watch, fileCount: Int, _ name: String) async throws {
        var times = Sample()
        let addresses = (0..<Self.burst).map { watch.address($0) }
        let size = Self.burst / fileCount
        for _ in 0..<(options.quick ? 5 : 11) {
            let files = try (0..<fileCount).map { number in
                try watch.stage(
                    Array(addresses[number * size..<(number + 1) * size]), file: "burst-\(number)")
            }
            try await Task.sleep(for: Self.calm)
            var begin: UInt64?
            for file in files {
                let moment = try file.place()
                begin = begin ?? moment
            }
            let end = try watch.await(Set(addresses), Self.limit)
            times.add(milliseconds(from: begin ?? end, to: end))
            for number in 0..<fileCount { try watch.remove("burst-\(number)") }
            _ = try watch.await([], Self.limit)
        }
        let prefix = "propagation.burst.\(name)"
        Figure("\(prefix).p50", times.median, "ms", goal: "value<=100").report()
        Figure("\(prefix).max", times.largest, "ms", goal: "value<=100").report()
    }

    private func labFile() throws -> LabFile {
        try LabFile(
            yaml: """
                clusters:
                  - {name: alpha, id: 1, nodes: 2}
                  - {name: beta, id: 2, nodes: 2}
                services:
                  - name: \(Self.service)
                    selector: {app: answer}
                    ports: [{port: \(Self.port), targetPort: 8080}]
                """, name: "propagation")
    }
}
