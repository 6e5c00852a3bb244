// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("Rosters converge")
struct JoiningConvergenceTests {
    /// Everything that happens in a mesh, as statements; and a roster that has heard none of them.
    struct History {
        var roster: MeshRoster
        var statements: [MeshStatement] = []

        init() throws {
            let founder = try TestAuthority("east")
            let second = try TestAuthority("second")
            roster = try TestAuthority("observer").roster(100)
            roster.durable.founder = east
            try roster.acceptFirsthand(founder.announcement(1), verify: verifyStatement)
            _ = roster.setIntroducers([east, second.name], verify: verifyStatement)
            var sequence = dawn
            func admit(
                _ subject: SignedAnnouncement, by introducer: TestAuthority? = nil,
                since: UInt64? = nil, decision: Admission.Decision = .admitted,
                replaces: [KeyPin] = []
            ) throws -> MeshStatement {
                sequence += 1
                return try (introducer ?? founder).admission(
                    of: subject, sequence: sequence, since: since, decision: decision,
                    replaces: replaces)
            }
            statements.append(try admit(second.announcement(50)))

            // One rotates its root, moves, and is admitted anew for newcomers.
            var west = try TestAuthority("west")
            let first = try west.announcement(2)
            let since = sequence + 1
            statements += [try admit(first), .announcement(first)]
            west.roots.append(try JoinRoot(west.name))
            statements.append(.announcement(try west.announcement(2, sequence: dawn + 1)))
            west.roots.removeFirst()
            let rotated = try west.announcement(2, sequence: dawn + 2)
            let moved = try west.announcement(2, sequence: dawn + 3, port: 5000)
            statements += [.announcement(rotated), .announcement(moved)]
            statements.append(try admit(rotated, since: since))
            // It is no introducer; whom it brings is pending.
            statements.append(
                try admit(TestAuthority("pending").announcement(9), by: west))
            // Two introducers bring two that want the same addresses, and one that wants nothing.
            statements.append(
                try admit(TestAuthority("north").announcement(3, pods: "10.77.0.0/16")))
            statements.append(
                try admit(TestAuthority("south").announcement(4, pods: "10.77.3.0/24"), by: second))
            statements.append(try admit(TestAuthority("calm").announcement(5), by: second))
            // One through the founder comes too late for its ID.
            statements.append(
                try admit(TestAuthority("late").announcement(2, pods: "10.88.0.0/16")))
            // One leaves, one is forgotten, one is forgotten and installed anew.
            let left = try TestAuthority("left")
            statements.append(try admit(left.announcement(6)))
            statements.append(
                .announcement(try left.announcement(6, sequence: dawn + 9, hasLeft: true)))
            let gone = try TestAuthority("gone")
            let goneSince = sequence + 1
            statements.append(try admit(gone.announcement(7)))
            statements.append(
                try admit(gone.announcement(7), since: goneSince, decision: .forgotten))
            let old = try TestAuthority("anew")
            statements.append(try admit(old.announcement(8)))
            statements.append(try admit(old.announcement(8), decision: .forgotten))
            statements.append(
                try admit(
                    TestAuthority("anew").announcement(8),
                    replaces: old.bundle.anchors.map { KeyPin(of: $0) }))
            // Strangers, in others' names.
            let thief = try TestAuthority("west")
            statements.append(.announcement(try thief.announcement(2, sequence: dawn + 99)))
            statements.append(
                try TestAuthority("east").admission(
                    of: thief.announcement(2), sequence: dawn + 99))
        }

        static let expected = [
            "anew": "pending", "calm": "member", "east": "member", "gone": "forgotten",
            "late": "conflicted", "left": "left", "north": "conflicted", "pending": "pending",
            "second": "member", "south": "conflicted", "west": "member",
        ]
    }

    @Test("whatever the order, however often, with restarts between, everybody sees the same")
    func interleavings() throws {
        let history = try History()
        var results: [[ClusterName: RosterMember]] = []
        for seed in 0..<60 {
            var generator = SplitMix64(seed: UInt64(seed))
            var order = history.statements
            order += order.filter { _ in Bool.random(using: &generator) }
            if seed > 0 { order.shuffle(using: &generator) }
            var roster = history.roster
            for statement in order {
                _ = roster.receive([statement], verify: verifyStatement)
                if UInt8.random(in: 0..<8, using: &generator) == 0 { roster = try copied(roster) }
            }
            let states = Dictionary(
                uniqueKeysWithValues: roster.clusters.map {
                    ($0.key.rawValue, String("\($0.value.state)".prefix { $0.isLetter }))
                })
            #expect(states == History.expected, "seed \(seed)")
            results.append(roster.clusters)
            #expect(
                results[0] == roster.clusters,
                "seed \(seed): \(roster.clusters.filter { results[0][$0.key] != $0.value }.keys)")
        }
        let west = try #require(results[0][west])
        #expect(west.description.addresses[0].port == 5000 && west.introducers == [east])
    }

    @Test("what a newcomer is told makes it see what the teller sees")
    func told() throws {
        let history = try History()
        var teller = history.roster
        _ = teller.receive(history.statements, verify: verifyStatement)
        var newcomer = history.roster
        _ = newcomer.receive(teller.statements.reversed(), verify: verifyStatement)
        #expect(newcomer.clusters == teller.clusters)
    }

    @Test(
        "eight clusters that join in any way and gossip at random agree in the end",
        arguments: 0..<6)
    func mesh(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        var sites = [try Site("east", 1)]
        for index in 2...8 {
            var site = try Site("c\(index)", UInt16(index))
            try join(&site, to: &sites[0], token: sites[0].token(for: site), now: dawn)
            sites[0].limiter = TryLimiter()
            sites.append(site)
            gossip(&sites, rounds: Int.random(in: 0..<4, using: &generator), &generator)
        }
        _ = try sites[0].roster.forget(
            sites[3].roster.name, now: dawn, signers: sites[0].authority.signers)
        _ = try sites[5].roster.leave(now: dawn, signers: sites[5].authority.signers)
        gossip(&sites, rounds: 100, &generator)
        for _ in 0..<2 {
            for from in sites.indices.shuffled(using: &generator) {
                let told = sites[from].roster.statements.shuffled(using: &generator)
                for to in sites.indices.shuffled(using: &generator) where to != from {
                    _ = sites[to].roster.receive(told, verify: verifyStatement)
                }
            }
        }
        let expected = Set(
            sites.indices.filter { $0 != 3 && $0 != 5 }.map { sites[$0].roster.name })
        for index in sites.indices where index != 3 && index != 5 {
            let seen = Set(sites[index].roster.members.map(\.name))
            #expect(seen.union([sites[index].roster.name]) == expected)
        }
    }

    private func gossip(
        _ sites: inout [Site], rounds: Int, _ generator: inout SplitMix64
    ) {
        for _ in 0..<rounds {
            let from = Int.random(in: sites.indices, using: &generator)
            let to = Int.random(in: sites.indices, using: &generator)
            guard from != to,
                let one = sites[from].roster.statements.randomElement(using: &generator)
            else { continue }
            _ = sites[to].roster.receive([one], verify: verifyStatement)
        }
    }
}
