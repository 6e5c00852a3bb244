// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshPolicy

@Suite("Books that follow each other")
struct BookChangesTests {
    private static let environment = PolicyEnvironment(
        cluster: ClusterName(rawValue: RandomWorld.own)!)

    /// Asks for all addresses that others ask for, so that books tell the same ones apart.
    private static let everywhere = Policy(
        name: PolicyName(kind: .networkPolicy, namespace: "shop", name: "everywhere"),
        tier: .standard,
        sections: [
            PolicySection(
                subject: EndpointSelector([
                    SelectorRequirement(.namespace, .isIn(["shop"])),
                    SelectorRequirement(.label("app"), .isIn(["web"])),
                ]), isolates: [.ingress],
                ingress: [
                    PolicyRule(
                        path: "spec.ingress[0]", action: .accept,
                        peers: Vocabulary.blocks.map {
                            .network(PolicyNetwork(prefix: Prefix($0)!))
                        }, ports: [.range(protocolNumber: 6, 80...80)])
                ])
        ])

    @Test("what is taken over of a former book is what would be compiled, and codes stay true")
    func takenOver() throws {
        var taken = 0
        var refused = 0
        var eras = 0
        for seed in 0..<150 {
            var run = try Run(seed: UInt64(3_000_000 + seed), codes: seed % 3 == 0 ? 15 : nil)
            for _ in 0..<12 { try run.step(&taken, &refused) }
            eras += Int(run.book.codes.era)
        }
        #expect(taken > 1000 && refused > 100 && eras > 10, "\(taken) \(refused) \(eras)")
    }

    private struct Run {
        private var judge: Judge
        private let variants: [Policy]
        private var random: SplitMix64
        private(set) var book: PolicyBook
        private var compiled: [CompiledPolicy] = []
        private var limits = PolicyLimits()

        init(seed: UInt64, codes: Int?) throws {
            let world = RandomWorld(seed: seed)
            random = SplitMix64(seed: seed ^ 0x5ca1e)
            judge = try Judge(world)
            if let codes { limits.codes = codes }
            // Names are p0, p1, …: of two worlds, so that a policy changes what it says.
            variants =
                try judge.book.policies
                + Judge(RandomWorld(seed: seed + 1_000_000))
                .book.policies
            book = try PolicyBook([everywhere], environment: environment, limits: limits)
            compiled = try fresh(book)
        }

        private func fresh(_ book: PolicyBook) throws -> [CompiledPolicy] {
            try judge.principals.map { subject in
                var policy = try CompiledPolicy(book.set(for: subject), in: book)
                for (key, peer) in peers(book) {
                    try policy.insert(key, book.matches(of: peer, in: key.prefix))
                }
                return policy
            }
        }

        /// Without those outside the mesh.
        private func peers(_ book: PolicyBook) -> [(key: PeerKey, peer: PolicyPeer)] {
            let host = Identity(cluster: ClusterID(rawValue: 1)!, reserved: .host)
            return judge.peers.map {
                (
                    PeerKey(
                        identity: $0.identity, prefix: book.classes.longest(containing: $0.address)),
                    $0.peer
                )
            }
                + ([nil] + book.classes.prefixes.map { $0 }).map {
                    (PeerKey(identity: host, prefix: $0), .host)
                }
        }

        mutating func step(_ taken: inout Int, _ refused: inout Int) throws {
            var policies = Dictionary(uniqueKeysWithValues: book.policies.map { ($0.name, $0) })
            let variant = variants.randomElement(using: &random)!
            policies[variant.name] = Int.random(in: 0..<3, using: &random) == 0 ? nil : variant
            let next = try PolicyBook(
                policies.values.shuffled(using: &random), environment: environment, limits: limits,
                after: book)
            let wanted = try fresh(next)
            defer { (book, compiled) = (next, wanted) }
            for code in -3...200 as ClosedRange<Int32> where book.codes.era == next.codes.era {
                let (before, now) = (book.reason(code: code), next.reason(code: code))
                #expect(before == now || before == .noPolicy || now == .noPolicy)
            }
            guard let changes = next.changes(since: book) else {
                refused += 1
                return
            }
            let everybody =
                peers(next)
                + ([nil] + next.classes.prefixes.map { $0 }).map {
                    (PeerKey(identity: .world, prefix: $0), .world)
                }
            let touched = everybody.filter { changes.concerns($0.peer, in: $0.key.prefix) }
                .map { ($0.key, next.matches(of: $0.peer, in: $0.key.prefix)) }
            for (number, subject) in judge.principals.enumerated() {
                guard !compiled[number].set.isEmpty,
                    let found = try CompiledPolicy(
                        next.set(for: subject), in: next, after: compiled[number], touched: touched)
                else {
                    refused += 1
                    continue
                }
                taken += 1
                for direction in PolicyDirection.allCases {
                    #expect(found.standardList(direction) == wanted[number].standardList(direction))
                    #expect(found.lists(direction) == wanted[number].lists(direction))
                }
            }
        }
    }
}
