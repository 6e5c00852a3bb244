// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import MeshReplication
import MeshTrust
import Testing

@testable import MeshAgent

@Suite("A cluster's authority delegates its ledger")
struct LedgerAuthorityTests {
    /// A folder of authorities that is gone with it.
    private final class Folder {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("weft-ledger-authority-\(UUID().uuidString)").path

        init() throws {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func authority(_ name: String) throws -> CertificateAuthority {
            try CertificateAuthority.create(
                cluster: ClusterName(rawValue: name)!, mesh: "weft.test", in: "\(path)/\(name)")
        }
    }

    private let owner = ClusterID(rawValue: 7)!

    /// Whether a replica of who believes `judge` takes what `authority` delegated until `notAfter`.
    private func isBelieved(
        _ authority: CertificateAuthority, until notAfter: Date, by judge: TrustBundle,
        denials: DenyBook = DenyBook(mesh: "weft.test")
    ) throws -> Bool {
        let key = Curve25519.Signing.PrivateKey()
        let delegation = try Delegation(
            owner: owner, epoch: 1, key: key.publicKey,
            notAfter: UInt64(notAfter.timeIntervalSince1970)
        ).signed {
            try authority.sign(statement: Statement(.ledgerDelegation, body: $0)).encoded
        }
        var replica = Replica(owner: owner, authority: try LedgerAuthority(judge, denials: denials))
        var ledger = Ledger(delegation, key: key)
        do {
            _ = try ledger.commit([LedgerChange](), to: &replica)
            return true
        } catch CommitFault.notDelegated {
            return false
        }
    }

    @Test("with its intermediate, for no longer than that lasts, and for no other cluster")
    func delegation() throws {
        let folder = try Folder()
        let (east, west) = (try folder.authority("east"), try folder.authority("west"))
        let day: Double = 86_400
        #expect(try isBelieved(east, until: Date() + day, by: east.bundle))
        #expect(try isBelieved(east, until: east.statementsEnd, by: east.bundle))
        #expect(try !isBelieved(east, until: east.statementsEnd + 1, by: east.bundle))
        #expect(try !isBelieved(east, until: Date() + day, by: west.bundle))
        #expect(try isBelieved(east.renewed(), until: Date() + day, by: east.bundle))
    }

    @Test("two readings of one bundle are the same authority, of two clusters they aren't")
    func equality() throws {
        let folder = try Folder()
        let (east, west) = (try folder.authority("east"), try folder.authority("west"))
        let none = DenyBook(mesh: "weft.test")
        func authority(
            _ bundle: TrustBundle, _ denials: DenyBook? = nil
        ) throws -> LedgerAuthority {
            try LedgerAuthority(bundle, denials: denials ?? none)
        }
        #expect(try authority(east.bundle) == authority(east.bundle))
        #expect(try authority(east.bundle) != authority(west.bundle))
        var denials = none
        try denials.denyLocally(entry(.authority(keyIdentifier: [1])))
        #expect(try authority(east.bundle) != authority(east.bundle, denials))
    }

    private func entry(_ subject: DenySubject) throws -> DenyEntry {
        try DenyEntry(subject, reason: "lost", since: Date(), until: Date() + 3_600)
    }

    @Test("not with an intermediate that is denied; the one after it counts again")
    func denied() throws {
        let folder = try Folder()
        let east = try folder.authority("east")
        var denials = DenyBook(mesh: "weft.test")
        let stolen = CertificateLife(east.chain[0]).keyIdentifier
        try denials.denyLocally(entry(.authority(keyIdentifier: stolen)))
        let tomorrow = Date() + 86_400
        #expect(try !isBelieved(east, until: tomorrow, by: east.bundle, denials: denials))
        #expect(try isBelieved(east.renewed(), until: tomorrow, by: east.bundle, denials: denials))
    }
}
