// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("Issuing by the clock")
struct IssuanceTests {
    let day: Double = 86_400

    @Test("backdates by a minute and never outlives the issuer, down to the node")
    func lifetimes() throws {
        let cluster = try Cluster(now: noon)
        let (intermediate, root) = (cluster.authority.chain[0], cluster.authority.chain[1])
        #expect(root.notValidBefore == noon - 60)
        #expect(root.notValidAfter == noon + 3_650 * day)
        #expect(intermediate.notValidBefore == noon - 60)
        #expect(intermediate.notValidAfter == noon + 30 * day)
        let lasts = CertificateProfile.intermediateLifetimeSeconds
        #expect(lasts >= 3 * CertificateProfile.nodeLifetimeSeconds)
        let key = NodeKey().privateKey.publicKey
        func issue(_ now: Date) throws -> Certificate {
            try cluster.authority.issueNodeCertificate(node: "a", publicKey: key, now: now)[0]
        }
        // The intermediate's own start bounds the first; backdating shows an hour later.
        #expect(try issue(noon - 30).notValidBefore == noon - 60)
        let later = try issue(noon + 3_600)
        #expect(later.notValidBefore == noon + 3_540)
        #expect(later.notValidAfter == noon + 3_600 + day)
        let last = try issue(intermediate.notValidAfter - 100)
        #expect(last.notValidAfter == intermediate.notValidAfter)
        for outside in [intermediate.notValidBefore - 1, intermediate.notValidAfter + 1] {
            let error = #expect(throws: TrustError.self) { try issue(outside) }
            #expect("\(error!)".contains("correct the clock"))
        }
    }

    @Test("renews the intermediate when two thirds are over; both generations stay good")
    func renewal() throws {
        let cluster = try Cluster(now: noon)
        let authority = cluster.authority
        #expect(!authority.needsRenewal(now: noon + 19.9 * day))
        #expect(authority.needsRenewal(now: noon + 20 * day))
        let now = noon + 20 * day
        let former = try cluster.node("a", now: now)
        let renewed = try authority.renewed(now: now)
        #expect(!renewed.needsRenewal(now: now))
        #expect(renewed.bundle == authority.bundle)
        #expect(renewed.chain[0].publicKey != authority.chain[0].publicKey)
        #expect(renewed.chain[0].notValidAfter == noon + 50 * day)
        let new = try NodeCredentials.issue(node: "b", by: renewed, now: now)
        let store = TrustStore([authority.bundle])
        for chain in [former, try new.chainDER()] {
            #expect(refusal(of: chain, by: store, now: now + 3_600) == nil)
        }
        let loaded = try CertificateAuthority.load(
            cluster: east, mesh: mesh, from: cluster.directory)
        #expect(loaded.chain == renewed.chain)
        let (code, output) = try openSSLVerify(
            new.chain, root: authority.chain[1], in: cluster.folder, "-attime",
            "\(Int(now.timeIntervalSince1970))")
        #expect(code == 0, "\(output)")
    }

    @Test("a root that ends lets no intermediate outlive it, and says that it must be rotated")
    func endingRoot() throws {
        let cluster = try Cluster(now: noon)
        let end = noon + 3_650 * day
        let short = try cluster.authority.renewed(now: end - 10 * day)
        #expect(short.chain[0].notValidAfter == end)
        #expect(throws: TrustError.rootEnds(end)) { try short.renewed(now: end - 2 * day) }
        #expect(throws: TrustError.self) { try short.renewed(now: end + 1) }
    }

    @Test("without the root's key it goes on issuing and says what a renewal needs")
    func absentRoot() throws {
        let cluster = try Cluster()
        try FileManager.default.removeItem(atPath: "\(cluster.directory)/root.pem")
        let loaded = try CertificateAuthority.load(
            cluster: east, mesh: mesh, from: cluster.directory)
        _ = try NodeCredentials.issue(node: "a", by: loaded)
        #expect(try !loaded.hasRootKey)
        #expect(throws: TrustError.rootKeyAbsent(path: "\(cluster.directory)/root.pem")) {
            try loaded.renewed()
        }
    }

    @Test("a clock that went back a minute is none, one that went back more stops the authority")
    func clock() throws {
        let cluster = try Cluster(now: noon)
        let later = noon + 1_000
        _ = try cluster.node("a", now: later)
        _ = try cluster.node("a", now: later - 60)
        let error = #expect(throws: TrustError.self) { try cluster.node("a", now: later - 61) }
        #expect(error.map(kind) == "clockWentBack")
        #expect("\(error!)".contains("2026-07-01T00:16:40Z"))
        // Neither another process nor another intermediate forgets.
        let loaded = try CertificateAuthority.load(
            cluster: east, mesh: mesh, from: cluster.directory)
        for now in [later - 61, noon] {
            #expect(throws: TrustError.self) {
                try NodeCredentials.issue(node: "a", by: loaded, now: now)
            }
            #expect(throws: TrustError.self) { try loaded.renewed(now: now) }
        }
        _ = try NodeCredentials.issue(node: "a", by: loaded, now: later)
        try SecretFile.write("x", named: "clock", in: cluster.directory, existing: .replace)
        #expect(throws: TrustError.self) {
            try CertificateAuthority.load(cluster: east, mesh: mesh, from: cluster.directory)
        }
    }

    @Test("the mark on disk is never behind what was issued, and is written twice a minute")
    func mark() {
        var clock = IssueClock(mark: 0)
        var random = SplitMix64(seed: 5)
        var (now, writes) = (noon, 0)
        for _ in 0..<10_000 {
            now += Double.random(in: -0.1...0.3, using: &random)
            if clock.advance(to: now) { writes += 1 }
            #expect(clock.mark >= now.timeIntervalSince1970)
            #expect(IssueClock(mark: clock.mark).allows(now))
        }
        #expect(writes <= Int(now.timeIntervalSince(noon) / 29) + 2)
    }

    @Test("issues two hundred at once and then fifty a second, and says when to come back")
    func budget() {
        var budget = IssueBudget()
        for _ in 0..<200 { #expect(budget.take(at: noon) == nil) }
        #expect(budget.take(at: noon) == 0.02)
        #expect(budget.take(at: noon - 3_600) == 0.02)
        var now = noon
        var issued = 0
        for _ in 0..<10_000 {
            now += 0.001
            if budget.take(at: now) == nil { issued += 1 }
        }
        #expect((499...501).contains(issued))
        for _ in 0..<201 { _ = budget.take(at: now + 3_600) }
        #expect(budget.take(at: now + 3_600) != nil)
    }

    @Test("a request beyond the budget is refused")
    func refusedBeyondBudget() throws {
        let cluster = try Cluster(now: noon)
        let key = NodeKey().privateKey.publicKey
        for _ in 0..<200 {
            _ = try cluster.authority.issueNodeCertificate(node: "a", publicKey: key, now: noon)
        }
        let error = #expect(throws: TrustError.self) {
            try cluster.authority.issueNodeCertificate(node: "a", publicKey: key, now: noon)
        }
        #expect(error.map(kind) == "tooManyRequests")
        #expect("\(error!)".contains("try again in 1 s"))
        _ = try cluster.authority.issueNodeCertificate(node: "a", publicKey: key, now: noon + 1)
    }
}
