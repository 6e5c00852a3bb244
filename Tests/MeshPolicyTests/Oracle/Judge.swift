// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshPolicy

/// Puts the same questions to everybody.
struct Judge {
    private var world: RandomWorld
    private let oracle: Oracle
    let book: PolicyBook
    private let subjects: [OraclePod]
    private var compiled: [CompiledPolicy] = []

    init(_ world: RandomWorld) throws {
        self.world = world
        oracle = world.oracle(RandomWorld.own)
        subjects = world.pods.filter { $0.cluster == RandomWorld.own }
        let text = oracle.policies.map(\.json.string).joined(separator: "\n---\n")
        let manifest = PolicyManifest(
            bytes: Array(text.utf8), file: "random.yaml", nowUnixSeconds: 0)
        try #require(manifest.problems.isEmpty, "\(manifest.problems)\n\(text)")
        try #require(manifest.policies.count == oracle.policies.count)
        book = try PolicyBook(
            manifest.policies.shuffled(using: &self.world.random),
            environment: PolicyEnvironment(
                cluster: ClusterName(rawValue: RandomWorld.own)!,
                scope: world.allClusters ? .allClusters : .localCluster))
        for pod in subjects {
            var policy = try CompiledPolicy(book.set(for: principal(pod)), in: book)
            for (number, pod) in world.pods.enumerated() {
                try insert(.endpoint(principal(pod)), identity(number), pod.address, &policy)
            }
            compiled.append(policy)
        }
    }

    /// Nil if all agree.
    ///
    /// - Parameter answers: how often each tier allowed and denied.
    mutating func compare(_ answers: inout [String: Int]) throws -> String? {
        let number = Int.random(in: subjects.indices, using: &world.random)
        let pod = subjects[number]
        let end = world.end()
        let traffic = world.traffic()
        let isIngress = Bool.random(using: &world.random)
        let direction: PolicyDirection = isIngress ? .ingress : .egress
        let expected = oracle.decide(
            isIngress: isIngress, pod: pod, peer: end, traffic: traffic)
        answers["\(expected.tier) \(expected.allows)", default: 0] += 1
        let peer = peer(end)
        let decided = book.decide(
            direction, subject: principal(pod), peer: peer, at: address(end.address),
            traffic: policyTraffic(traffic))
        let key = PeerKey(
            identity: identity(end), prefix: book.classes.longest(containing: address(end.address)))
        switch end {
        // The worlds' nodes are many: they are added as they are met.
        case .host, .remoteNode, .health:
            try compiled[number].insert(key, book.matches(of: peer, in: key.prefix))
        case .pod, .world: break
        }
        let looked = compiled[number].decision(
            direction, peer: key, isKnown: true, traffic: policyTraffic(traffic))
        let agree =
            decided.allows == expected.allows && decided.tier == expected.tier && looked == decided
        return agree
            ? nil
            : """
            \(direction) of \(pod), peer \(end), \(traffic):
            oracle \(expected), engine \(decided), compiled \(looked)
            \(oracle.policies.map(\.json.string).joined(separator: "\n"))
            """
    }

    mutating func checkUnknown(_ allowed: inout Int) throws {
        let number = Int.random(in: subjects.indices, using: &world.random)
        let traffic = world.traffic()
        for isIngress in [true, false] {
            let direction: PolicyDirection = isIngress ? .ingress : .egress
            let subject = principal(subjects[number])
            let decided = book.decide(
                direction, subject: subject, peer: .unknown, at: nil,
                traffic: policyTraffic(traffic))
            let looked = compiled[number].decision(
                direction, peer: PeerKey(identity: Identity(rawValue: 0xfff0_0000), prefix: nil),
                isKnown: false, traffic: policyTraffic(traffic))
            #expect(decided == looked)
            let initializing = book.decide(
                direction, subject: subject, peer: .initializing, at: nil,
                traffic: policyTraffic(traffic))
            #expect(!decided.allows || initializing.allows)
            let ends = world.pods.map { OracleEnd.pod($0) } + [world.end(), world.end()]
            let verdicts = Set(
                ends.map {
                    oracle.decide(
                        isIngress: isIngress, pod: subjects[number], peer: $0, traffic: traffic
                    ).allows
                })
            if decided.allows {
                allowed += 1
                #expect(verdicts == [true])
            } else if !decided.dependsOnPeer, isIngress == false {
                #expect(verdicts == [false])
            }
        }
    }

    mutating func checkChurn() throws {
        for number in subjects.indices {
            let fresh = compiled[number]
            let order = Array(world.pods.enumerated()).shuffled(using: &world.random)
            for (index, pod) in order {
                // Another's labels for a while, then gone, then itself.
                let other = principal(world.pods[(index + 1) % world.pods.count])
                try insert(.endpoint(other), identity(index), pod.address, &compiled[number])
                if index % 2 == 0 {
                    compiled[number].remove(key(identity(index), pod.address))
                }
                try insert(
                    .endpoint(principal(pod)), identity(index), pod.address, &compiled[number])
            }
            for direction in PolicyDirection.allCases {
                #expect(compiled[number].lists(direction) == fresh.lists(direction))
                #expect(compiled[number].standardList(direction) == fresh.standardList(direction))
                for list in [fresh.standardList(direction)] + fresh.lists(direction).values {
                    #expect(list.intervals.first?.start == 0)
                    #expect(
                        zip(list.intervals, list.intervals.dropFirst()).allSatisfy {
                            $0.start < $1.start && $0.verdict != $1.verdict
                        })
                }
            }
        }
    }

    /// Endpoints that the policies may select.
    var principals: [Principal] { subjects.map(principal) }

    var peers: [(identity: Identity, peer: PolicyPeer, address: Address)] {
        world.pods.enumerated().map {
            (identity($0), .endpoint(principal($1)), address($1.address))
        }
    }

    // MARK: Translation

    private func insert(
        _ peer: PolicyPeer, _ identity: Identity, _ address: OracleAddress,
        _ policy: inout CompiledPolicy
    ) throws {
        let key = key(identity, address)
        try policy.insert(key, book.matches(of: peer, in: key.prefix))
    }

    private func key(_ identity: Identity, _ address: OracleAddress) -> PeerKey {
        PeerKey(
            identity: identity, prefix: book.classes.longest(containing: self.address(address)))
    }

    private func identity(_ number: Int) -> Identity {
        Identity(rawValue: 1 << 20 | UInt32(256 + number))
    }

    private func identity(_ end: OracleEnd) -> Identity {
        let cluster = ClusterID(rawValue: 1)!
        switch end {
        case .pod(let pod):
            return identity(world.pods.firstIndex { $0.address == pod.address && same($0, pod) }!)
        case .host: return Identity(cluster: cluster, reserved: .host)
        case .remoteNode: return Identity(cluster: cluster, reserved: .remoteNode)
        case .health: return Identity(cluster: cluster, reserved: .health)
        case .world: return .world
        }
    }

    private func same(_ left: OraclePod, _ right: OraclePod) -> Bool {
        principal(left) == principal(right)
    }

    private func peer(_ end: OracleEnd) -> PolicyPeer {
        switch end {
        case .pod(let pod): .endpoint(principal(pod))
        case .host: .host
        case .remoteNode: .remoteNode
        case .health: .health
        case .world: .world
        }
    }

    private func principal(_ pod: OraclePod) -> Principal {
        Principal(
            cluster: ClusterName(rawValue: pod.cluster)!, namespace: pod.namespace,
            namespaceLabels: world.namespaces[pod.cluster]![pod.namespace]!, labels: pod.labels,
            namedPorts: pod.ports.map {
                NamedPort(
                    name: $0.name, transport: TransportProtocol($0.protocol)!,
                    port: UInt16($0.number))
            })
    }

    private func address(_ address: OracleAddress) -> Address { Address(address.text)! }

    private func policyTraffic(_ traffic: OracleTraffic) -> PolicyTraffic {
        let number =
            switch traffic.protocol {
            case "ICMP": UInt8(1)
            case "ICMPv6": UInt8(58)
            case "TCP": UInt8(6)
            case "UDP": UInt8(17)
            case "SCTP": UInt8(132)
            default: UInt8(traffic.protocol)!
            }
        return PolicyTraffic(protocolNumber: number, port: UInt16(traffic.port))
    }
}

extension PolicyDecision {
    fileprivate var tier: Oracle.Tier {
        switch reason {
        case .rule(let rule):
            switch rule.tier {
            case .admin: .admin
            case .standard: .standard
            case .baseline: .baseline
            }
        case .isolated: .standard
        case .noPolicy, .undetermined, .ownNode, .itself: .none
        }
    }
}
