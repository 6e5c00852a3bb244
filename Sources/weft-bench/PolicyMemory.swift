// SPDX-License-Identifier: Apache-2.0

import BPF
import FoundationEssentials
import MeshAdmin
import MeshLab

/// What rules and endpoints take of the kernel's memory: `memlock` of the maps that hold policies and
/// endpoints, as `/proc` tells it, on one node.
///
/// The kernel counts elements as they lie in the map, and a trie without its inner nodes; what its
/// allocator rounds up comes on top.
struct PolicyMemory {
    private static let lab = "benchpolicymem"
    private static let endpoints = 200
    private static let rulesPerObject = 125
    private static let limit = Duration.seconds(60)
    /// Allocated as a whole when they are made: their size is the same whatever they hold.
    private static let fixed = ["weft_policy_sets", "weft_policy_intervals", "weft_endpoints"]
    private static let growing = [
        "weft_policy_peers", "weft_policy_blocks", "weft_policy_known",
    ]

    let weft: String

    func run() async throws {
        let one = try await measure(endpoints: 1, rules: [.none])[.none] ?? [:]
        let rules = [Rules.none] + [1000, 10_000].flatMap { [.blocks($0), .labels($0)] }
        let many = try await measure(endpoints: Self.endpoints, rules: rules)
        guard let base = many[.none] else { return }
        for map in Self.fixed {
            Figure("policy.memory.\(map)", base[map].map(Double.init), "bytes").report()
        }
        func total(_ sizes: [String: Int]) -> Double {
            Double(Self.growing.reduce(0) { $0 + (sizes[$1] ?? 0) })
        }
        Figure(
            "policy.memory.identity", (total(base) - total(one)) / Double(Self.endpoints - 1),
            "bytes"
        ).report()
        for kind in rules {
            guard let sizes = many[kind], let count = kind.count else { continue }
            Figure(
                "policy.memory.\(kind.name).rule", (total(sizes) - total(base)) / Double(count),
                "bytes"
            ).report()
            for map in Self.growing where sizes[map] != base[map] {
                Figure(
                    "policy.memory.\(kind.name).\(map)",
                    Double((sizes[map] ?? 0) - (base[map] ?? 0)), "bytes"
                ).report()
            }
        }
    }

    /// Rules that select all of the node's endpoints, each with one of a hundred ports.
    private enum Rules: Hashable {
        case none
        /// Each allows an address block of its own.
        case blocks(Int)
        /// Each allows the endpoints with a label of its own, of whom there are two hundred.
        case labels(Int)

        var count: Int? {
            switch self {
            case .none: nil
            case .blocks(let count), .labels(let count): count
            }
        }

        var name: String {
            switch self {
            case .none: "none"
            case .blocks(let count): "\(count)-blocks"
            case .labels(let count): "\(count)-labels"
            }
        }

        func peer(_ number: Int) -> String {
            switch self {
            case .labels: "podSelector: {matchLabels: {n: \"\(number)\"}}"
            case .none, .blocks:
                "ipBlock: {cidr: 198.18.\(number / 256).\(number % 256)/32}"
            }
        }
    }

    private func measure(
        endpoints: Int, rules: [Rules]
    ) async throws -> [Rules: [String: Int]] {
        try await withLab(Self.lab, try labFile(endpoints), weft: weft) { lab in
            let node = try lab.plan.cluster(named: "beta").nodes[0]
            let folder =
                "\(try BPFFileSystem.mountPoint())/weft-lab/\(lab.plan.name)/beta/\(node.name)/maps"
            var sizes: [Rules: [String: Int]] = [:]
            for kind in rules {
                let names = try place(kind, in: lab.plan.manifestFolder(of: node))
                let agent = lab.agent(of: node)
                _ = try await awaiting("\(kind.name) in force", atMost: Self.limit) {
                    let list = try await agent.policies()
                    return Set(list.map(\.name)) == names
                        && list.allSatisfy { $0.state == .enforced } ? true : nil
                }
                // What was replaced goes when no program can read it any more.
                var former: [String: Int] = [:]
                let settled: [String: Int] = try await awaiting(
                    "the maps' rest", atMost: Self.limit, every: .seconds(1)
                ) {
                    let now = try (Self.fixed + Self.growing).reduce(into: [:]) { sizes, map in
                        sizes[map] = try memory(of: "\(folder)/\(map)")
                    }
                    defer { former = now }
                    return now == former ? now : nil
                }
                sizes[kind] = settled
            }
            return sizes
        }
    }

    /// - Returns: the names of the policies.
    private func place(_ kind: Rules, in folder: String) throws -> Set<String> {
        let objects = (kind.count ?? 0) / Self.rulesPerObject
        let texts = (0..<objects).map { object in
            let rules = (0..<Self.rulesPerObject).map { number in
                let place = object * Self.rulesPerObject + number
                return
                    "  - {from: [{\(kind.peer(place))}], ports: [{port: \(2000 + place % 100)}]}\n"
            }
            return """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: \(kind.name)-\(object), namespace: demo}
                spec:
                  podSelector: {}
                  ingress:

                """ + rules.joined()
        }
        try StagedFile(texts.joined(separator: "---\n"), for: "\(folder)/policies.yaml").place()
        return Set((0..<objects).map { "\(kind.name)-\($0)" })
    }

    private func memory(of path: String) throws -> Int {
        let map = try BPFMap(pinnedAt: path)
        let file = "/proc/self/fdinfo/\(map.descriptor.rawValue)"
        let text = String(decoding: try Data(contentsOf: URL(filePath: file)), as: UTF8.self)
        for line in text.split(separator: "\n") where line.hasPrefix("memlock:") {
            if let bytes = Int(line.dropFirst("memlock:".count).filter(\.isNumber)) {
                return bytes
            }
        }
        throw LabError(.failed, "\(file) doesn't say what \(path) takes")
    }

    private func labFile(_ endpoints: Int) throws -> LabFile {
        let lines = (1...endpoints).map {
            "      - {name: e\($0), namespace: demo, labels: {app: web, n: \"\($0)\"}}\n"
        }
        return try LabFile(
            yaml: """
                clusters:
                  - {name: alpha, id: 1, nodes: 1}
                  - name: beta
                    id: 2
                    nodes: 1
                    endpoints:
                \(lines.joined())
                """, name: "policy")
    }
}
