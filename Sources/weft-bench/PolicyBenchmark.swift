// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BPF
import CMeshABI
import Glibc
import MeshAdmin
import MeshLab
import MeshModel

/// Policies: what a packet pays for them, how fast a change is in force, and what a large one costs.
struct PolicyBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "What policies cost, how fast a changed one is in force, and whether it is.",
        discussion: """
            programs: test runs of from-endpoint. changes: in a lab of two clusters a file is renamed \
            into the folder of beta's node, and its kernel's maps are read as its programs read them. \
            path: latency and connections across clusters with and without 10,000 entries at both \
            ends. memory: bytes of the kernel's maps. churn: connections are held against the pure \
            engine while endpoints, labels and policies change; it fails at a wrong verdict.
            """)
    enum Part: String, CaseIterable, ExpressibleByArgument {
        case programs, changes, path, memory, churn
    }

    private static let lab = "benchpolicy"
    /// Endpoints of beta's node, all selected.
    private static let endpoints = 200
    private static let objects = 40
    private static let blocksPerObject = 250
    private static let limit = Duration.seconds(20)

    @OptionGroup var options: BenchOptions
    @Argument(help: "What to measure. Default: all but, if quick, memory.") var parts: [Part] = []
    @Option(help: "How long the churn lasts; 120, quick 12.") var seconds: Int?
    @Option(help: "Which changes the churn makes; any.") var seed: UInt64?

    func run() async throws {
        let weft = try options.product()
        let standard = Part.allCases.filter { !options.quick || $0 != .memory }
        for part in parts.isEmpty ? standard : parts {
            switch part {
            case .programs: try PolicyPrograms(isQuick: options.quick).run()
            case .changes: try await changes(weft)
            case .path: try await PolicyConnections(weft: weft, isQuick: options.quick).run()
            case .memory: try await PolicyMemory(weft: weft).run()
            case .churn:
                try await PolicyChurnReport(
                    weft: weft, seconds: seconds ?? (options.quick ? 12 : 120),
                    seed: seed ?? UInt64.random(in: 0...UInt64.max)
                ).run()
            }
        }
    }

    private func changes(_ weft: String) async throws {
        try await withLab(Self.lab, try labFile(), weft: weft) { lab in
            try await Task.sleep(for: .seconds(2))
            let watch = try PolicyWatch(lab: lab)
            let small = try await changes(watch)
            report("applied", small, p50: 20, p99: 50)
            try await relabel(watch, "label")
            let folder = watch.folder
            try StagedFile(Self.large, for: "\(folder)/large.yaml").place()
            try await watch.settle()
            report("applied-beside-10000", try await changes(watch), p50: nil, p99: 50)
            try await relabel(watch, "label-beside-10000")
            try await memory(lab)
        }
    }

    /// A policy for all endpoints that says something else each time.
    private func changes(_ watch: borrowing PolicyWatch) async throws -> Sample {
        var times = Sample()
        for number in 0..<(options.quick ? 20 : 100) {
            let file = try StagedFile(
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: small, namespace: demo}
                spec:
                  podSelector: {}
                  ingress: [{from: [{podSelector: {}}], ports: [{port: \(1000 + number)}]}]
                """, for: "\(watch.folder)/small.yaml")
            let before = watch.words
            let begin = try file.place()
            times.add(
                milliseconds(from: begin, to: try watch.awaitChange(from: before, Self.limit)))
            try await Task.sleep(for: .microseconds(Int.random(in: 20_000...60_000)))
        }
        return times
    }

    /// A pod of alpha gets another label: another identity, which beta's policies judge.
    private func relabel(_ watch: borrowing PolicyWatch, _ name: String) async throws {
        var times = Sample()
        for number in 0..<(options.quick ? 20 : 100) {
            let before = try watch.identity()
            let begin = try watch.relabel("n\(number)").place()
            times.add(
                milliseconds(from: begin, to: try watch.awaitIdentity(from: before, Self.limit)))
            try await Task.sleep(for: .microseconds(Int.random(in: 20_000...60_000)))
        }
        report(name, times, p50: nil, p99: 100)
    }

    private func memory(_ lab: Lab) async throws {
        let node = try lab.plan.cluster(named: "beta").nodes[0]
        for map in try await lab.agent(of: node).maps() where map.name.hasPrefix("weft_policy") {
            guard let entries = map.entries else { continue }
            Figure("policy.map.\(map.name).entries", Double(entries), "").report()
        }
    }

    private func report(_ name: String, _ times: Sample, p50: Int?, p99: Int) {
        Figure("policy.\(name).p50", times.median, "ms", goal: p50.map { "value<=\($0)" }).report()
        Figure("policy.\(name).p99", times.percentile(0.99), "ms", goal: "value<=\(p99)").report()
    }

    /// 10,000 blocks of addresses, all told apart.
    private static let large: String = (0..<objects).map { object in
        let blocks = (0..<blocksPerObject).map { number in
            let place = object * blocksPerObject + number
            return "{ipBlock: {cidr: 198.18.\(place / 256).\(place % 256)/32}}"
        }
        return """
            ---
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: large-\(object), namespace: demo}
            spec:
              podSelector: {}
              ingress: [{from: [\(blocks.joined(separator: ", "))], ports: [{port: \(2000 + object)}]}]

            """
    }.joined()

    private func labFile() throws -> LabFile {
        // Different labels, so that each has a set of its own.
        let endpoints = (1...Self.endpoints).map {
            "      - {name: e\($0), namespace: demo, labels: {app: web, n: \"\($0)\"}}\n"
        }
        return try LabFile(
            yaml: """
                clusters:
                  - name: alpha
                    id: 1
                    nodes: 1
                    endpoints:
                      - {name: client, namespace: demo, labels: {app: client}}
                  - name: beta
                    id: 2
                    nodes: 1
                    endpoints:
                \(endpoints.joined())
                """, name: "policy")
    }
}
