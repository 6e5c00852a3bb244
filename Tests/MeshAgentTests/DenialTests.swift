// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import MeshReplication
import MeshStore
import MeshTrust
import Testing

@testable import MeshAgent

private let listKey = DenyListRecord.onlyKey

private func put(_ key: RecordKey, _ value: [UInt8]) -> Message {
    .report(
        .init(
            opens: true, closes: true, puts: [.init(key: key, since: 1, value: value)], deletes: [])
    )
}

@Suite("Deny lists in reports and ledgers")
struct DenyRecordTests {
    private let record = DenyListRecord(sealed: [1, 2, 3])

    @Test("only the home tells the list, and under one name only")
    func ownWord() throws {
        for (reporter, home, key, isTaken) in [
            ("a", "a", listKey, true), ("b", "a", listKey, false), ("a", nil, listKey, false),
            ("a", "a", RecordKey(kind: .deny, name: "other"), false),
        ] as [(String, String?, RecordKey, Bool)] {
            var book = ReportBook(home: home)
            guard case .report(let report) = put(key, record.encoded) else { return }
            #expect(book.apply(report, from: reporter) == (isTaken ? [key] : []))
        }
    }

    @Test("the home's silence lifts no denial, nor does a publisher that starts anew")
    func silence() {
        var book = ReportBook(home: "a")
        var publisher = Publisher(
            cluster: cluster(1), name: ClusterName(rawValue: "north")!, mark: 0,
            ledger: [LedgerEntry(key: "\(listKey)", value: record.encoded)], at: .zero)
        // All nodes have reported, and none has a list.
        let swept = publisher.sweep(
            reporters: ["a"], members: ["a"], at: .zero + .seconds(3_600))
        #expect(!swept.contains { $0.key == "\(listKey)" })

        let next = DenyListRecord(sealed: [4])
        guard case .report(let report) = put(listKey, next.encoded) else { return }
        let changed = book.apply(report, from: "a")
        #expect(
            publisher.apply(changed, of: "a", from: book, at: .zero)
                == [.put(listKey, next.encoded)])
        let nothing = Message.Report(opens: true, closes: true, puts: [], deletes: [])
        #expect(
            publisher.apply(book.apply(nothing, from: "a"), of: "a", from: book, at: .zero)
                .isEmpty)
    }

    @Test("a peer's list is let in beside every quota; no other name of that kind is")
    func charter() {
        let south = cluster(2)
        var charter = Charter(podPrefixes: [])
        charter.quota.records = 0
        charter.quota.valueBytes = 1
        var gate = CharterGate()
        gate.set(charter, of: south)
        let entry = LedgerEntry(key: "\(listKey)", value: record.encoded)
        #expect(gate.judge(entry, of: south) == .accept)
        #expect(gate.isAccepted(entry.key, of: south))
        #expect(gate.acceptedCount(of: south) == 0)
        charter.quota = CharterQuota()
        gate.set(charter, of: south)
        let other = LedgerEntry(key: "deny/other", value: record.encoded)
        guard case .refuse(let reason) = gate.judge(other, of: south) else {
            Issue.record("taken")
            return
        }
        #expect(reason.contains("deny/list"))
    }

    @Test("what clusters announce is held, also when a record goes; a bad one changes nothing")
    func tables() {
        var tables = RecordTables(own: own, store: MeshStore())
        tables.apply([listKey: RecordChange(new: record.encoded)], of: cluster(2))
        #expect(tables.denyLists == [cluster(2): [1, 2, 3]] && tables.trustRevision == 1)
        tables.apply([listKey: RecordChange(new: nil)], of: cluster(2))
        tables.apply([listKey: RecordChange(new: [9, 9])], of: cluster(2))
        #expect(tables.denyLists == [cluster(2): [1, 2, 3]] && tables.trustRevision == 1)
        #expect(tables.quarantine[cluster(2)]?[listKey] != nil)
        tables.forget(cluster(2))
        #expect(tables.denyLists.isEmpty)
    }
}

@Suite("Denials on disk")
struct DenialStoreTests {
    private let folder: TemporaryFolder
    private let authority: CertificateAuthority
    private let judge = Statement.Kind.denyList.judge(now: Date())

    init() throws {
        folder = try TemporaryFolder()
        authority = try CertificateAuthority.create(
            cluster: ClusterName(rawValue: "south")!, mesh: "weft.test",
            in: "\(folder.path)/authority")
    }

    private func opened() throws -> Denials {
        try Denials(mesh: "weft.test", state: folder.path)
    }

    private func list(_ sequence: UInt64, _ nodes: String...) throws -> SealedStatement {
        let entries = try nodes.map {
            try DenyEntry(
                .identity(SPIFFEID(node: $0, in: authority.trustDomain)), reason: "stolen",
                since: Date(), until: Date() + 3_600)
        }
        let list = try DenyList(
            of: authority.trustDomain, sequence: sequence, entries: entries)
        return try list.sealed {
            try authority.sign(statement: Statement(.denyList, body: $0)).encoded
        }
    }

    private func accept(_ statement: SealedStatement, _ denials: Denials) throws {
        _ = try denials.update {
            try $0.receive(
                statement, bundles: TrustStore([authority.bundle]), judge: judge, now: Date())
        }
    }

    @Test("an older list is refused, also by an agent that has restarted")
    func sequence() throws {
        try accept(list(7, "n1"), opened())
        let denials = try opened()
        #expect(denials.book.sequence(of: authority.trustDomain) == 7)
        #expect(throws: StatementRefusal.stale(domain: "south.weft.test", sequence: 6, held: 7)) {
            try accept(list(6), denials)
        }
        let node = try NodeCredentials.issue(node: "n1", by: authority)
        #expect(denials.denied(node.chain)?.contains("stolen") == true)
        try accept(list(8), denials)
        #expect(denials.denied(node.chain) == nil)
    }

    @Test("what can't be written doesn't count")
    func unwritable() throws {
        let denials = try opened()
        // A file stands where the folder should be.
        _ = try folder.write("trust", "")
        #expect(throws: (any Error).self) { try accept(list(1, "n1"), denials) }
        #expect(denials.book.owners.isEmpty)
    }

    @Test("a statement of another kind, or another cluster's, is no deny list")
    func foreign() throws {
        let denials = try opened()
        let body = try list(1, "n1").body
        let other = try CertificateAuthority.create(
            cluster: ClusterName(rawValue: "west")!, mesh: "weft.test",
            in: "\(folder.path)/other")
        for signature in [
            try authority.sign(statement: Statement(.ledgerDelegation, body: body)),
            try other.sign(statement: Statement(.denyList, body: body)),
        ] {
            let forged = try SealedStatement(body: body, signature: signature.encoded)
            #expect(throws: StatementRefusal.self) { try accept(forged, denials) }
        }
        #expect(denials.book.owners.isEmpty)
    }
}
