// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// A small mesh with policies in which nearly everything collides with everything.
struct RandomWorld {
    var random: SplitMix64
    let allClusters: Bool
    /// Each has policies of its own, the last one none.
    let clusters = ["east", "west", "north"]
    private(set) var namespaces: [String: [String: [String: String]]] = [:]
    private(set) var pods: [OraclePod] = []
    private(set) var policies: [String: [OraclePolicy]] = [:]

    static let own = "east"

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        allClusters = Bool.random(using: &random)
        for cluster in clusters {
            for name in Vocabulary.namespaces {
                namespaces[cluster, default: [:]][name] = labels(Vocabulary.namespaceLabels)
            }
        }
        for number in 0..<14 {
            let cluster = number < 6 ? Self.own : clusters[number % clusters.count]
            pods.append(pod(in: cluster, number))
        }
        for cluster in clusters.dropLast() {
            var list = (0..<Int.random(in: 1...6, using: &random)).map { policy($0) }
            if chance(3) { list.append(baselineAdmin()) }
            policies[cluster] = list
        }
    }

    func oracle(_ cluster: String) -> Oracle {
        Oracle(
            cluster: cluster, allClusters: allClusters, policies: policies[cluster] ?? [],
            namespaces: namespaces)
    }

    mutating func end() -> OracleEnd {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: .host(address(Vocabulary.nodes))
        case 1: .remoteNode(address(Vocabulary.nodes))
        case 2: .health(address(Vocabulary.nodes))
        case 3, 4: .world(address(Vocabulary.world))
        default: .pod(pods.randomElement(using: &random)!)
        }
    }

    mutating func traffic() -> OracleTraffic {
        switch Int.random(in: 0..<12, using: &random) {
        case 0: OracleTraffic(protocol: "ICMP", port: pick([0, 3, 8]))
        case 1: OracleTraffic(protocol: "ICMPv6", port: pick([1, 128, 129]))
        case 2: OracleTraffic(protocol: "47", port: 0)
        default:
            OracleTraffic(
                protocol: pick(["TCP", "TCP", "UDP", "SCTP"]),
                port: pick(Vocabulary.ports) + pick([-1, 0, 0, 0, 1]))
        }
    }

    // MARK: Parts

    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    mutating func pick<Value>(_ values: [Value]) -> Value { values.randomElement(using: &random)! }

    mutating func some<Value>(_ values: [Value], max: Int) -> [Value] {
        Array(values.shuffled(using: &random).prefix(Int.random(in: 1...max, using: &random)))
    }

    private mutating func labels(_ vocabulary: [(String, [String])]) -> [String: String] {
        var labels: [String: String] = [:]
        for (key, values) in vocabulary where !chance(3) { labels[key] = pick(values) }
        return labels
    }

    private mutating func pod(in cluster: String, _ number: Int) -> OraclePod {
        var ports: [(name: String, protocol: String, number: Int)] = []
        for name in Vocabulary.portNames where !chance(3) {
            ports.append((name, pick(["TCP", "UDP"]), pick(Vocabulary.ports)))
        }
        return OraclePod(
            cluster: cluster, namespace: pick(Vocabulary.namespaces),
            labels: labels(Vocabulary.podLabels), ports: ports, address: address(Vocabulary.pods))
    }

    private mutating func address(_ blocks: [String]) -> OracleAddress {
        let block = Vocabulary.block(pick(blocks))
        let width = block.address.isIPv6 ? 128 : 32
        let host = UInt128(UInt64.random(in: 0..<16, using: &random))
        return OracleAddress(
            isIPv6: block.address.isIPv6,
            bits: block.address.bits | (block.length + 4 <= width ? host : 0))
    }
}

/// What pods, namespaces and policies are made of.
enum Vocabulary {
    static let namespaces = ["shop", "pay"]
    static let namespaceLabels = [("team", ["red", "blue"]), ("stage", ["live", "test"])]
    static let podLabels = [
        ("app", ["web", "db", "batch"]), ("tier", ["front", "back"]), ("team", ["red", "blue"]),
    ]
    static let portNames = ["http", "sql"]
    static let ports = [80, 443, 5432, 8000, 8004, 8010]
    static let pods = ["10.0.1.0/28", "10.0.2.0/28", "fd00:1::/64"]
    static let nodes = ["10.9.0.0/28", "fd00:9::/64"]
    static let world = [
        "192.0.2.0/28", "10.0.1.240/28", "203.0.113.7/32", "2001:db8::/64", "::/64",
    ]
    static let blocks = [
        "0.0.0.0/0", "10.0.0.0/8", "10.0.1.0/24", "10.0.1.0/29", "10.0.1.4/31", "10.0.2.8/32",
        "192.0.2.0/24", "192.0.2.0/30", "203.0.113.7/32", "10.9.0.0/16", "::/0", "fd00:1::/64",
        "fd00:1::/127", "fd00:9::/64", "2001:db8::/32", "2001:db8::4/126", "2001:db8::/128",
    ]

    /// Of texts with at most one `::`, at their end.
    static func block(_ text: String) -> OracleBlock {
        let parts = text.split(separator: "/")
        let length = Int(parts[1])!
        guard parts[0].contains(":") else {
            let bits = parts[0].split(separator: ".").reduce(UInt128(0)) { $0 << 8 | UInt128($1)! }
            return OracleBlock(address: OracleAddress(isIPv6: false, bits: bits), length: length)
        }
        let halves = String(parts[0]).split(separator: "::", omittingEmptySubsequences: false)
        func words(_ half: Substring) -> [UInt128] {
            half.split(separator: ":").map { UInt128($0, radix: 16)! }
        }
        let (head, tail) = (words(halves[0]), halves.count > 1 ? words(halves[1]) : [])
        let all = head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        return OracleBlock(
            address: OracleAddress(isIPv6: true, bits: all.reduce(0) { $0 << 16 | $1 }),
            length: length)
    }
}
