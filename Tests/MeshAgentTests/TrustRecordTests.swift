// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Records of an authority")
struct TrustRecordTests {
    private let word = StatementRecord(name: "announcement", body: [1, 2, 3])
    private let peer = PeerRecord(name: "west", body: [4])

    @Test("are their cluster's home's to report, nobody else's")
    func home() {
        var book = ReportBook(home: "a")
        let puts = [word.key: word.encoded, peer.key: peer.encoded].map {
            Message.Report.Put(key: $0.key, since: 1, value: $0.value)
        }
        let report = Message.Report(opens: true, closes: true, puts: puts, deletes: [])
        #expect(book.apply(report, from: "b").isEmpty)
        #expect(book.apply(report, from: "a") == [word.key, peer.key])
        var publisher = Publisher(
            cluster: cluster(1), name: ClusterName(rawValue: "north")!, mark: 0, ledger: [],
            at: .zero)
        let changes = publisher.apply([word.key, peer.key], of: "a", from: book, at: .zero)
        #expect(changes == [.put(peer), .put(word)])
    }

    @Test("say whom other clusters admit, and only the own ledger whom nodes have for peers")
    func tables() throws {
        var tables = RecordTables(own: own, store: MeshStore())
        let changes: RecordTables.Changes = [
            word.key: RecordChange(new: word.encoded), peer.key: RecordChange(new: peer.encoded),
        ]
        tables.apply(changes, of: cluster(2))
        #expect(tables.statements == [cluster(2): ["announcement": [1, 2, 3]]])
        #expect(tables.members.isEmpty)
        tables.apply(changes, of: own.cluster)
        #expect(tables.members == ["west": [4]] && tables.statements.count == 1)
        let revision = tables.trustRevision
        tables.apply([word.key: RecordChange(new: [1, 9])], of: cluster(2))
        #expect(tables.quarantine[cluster(2)]?.count == 1)
        #expect(tables.statements[cluster(2)] == ["announcement": [1, 2, 3]])
        tables.apply([peer.key: RecordChange(new: nil)], of: own.cluster)
        tables.forget(cluster(2))
        #expect(tables.members.isEmpty && tables.statements.isEmpty)
        #expect(tables.trustRevision > revision)
    }

    @Test("have a quota of their own: a cluster that is full can still leave")
    func quota() {
        var charter = Charter(podPrefixes: prefixes("10.2.0.0/16"))
        charter.quota.records = 2
        charter.quota.valueBytes = 4
        var gate = CharterGate()
        gate.set(charter, of: cluster(2))
        func entry(_ key: String, _ bytes: Int = 1) -> LedgerEntry {
            LedgerEntry(key: key, value: [UInt8](repeating: 0, count: bytes))
        }
        func isAccepted(_ entry: LedgerEntry) -> Bool {
            gate.judge(entry, of: cluster(2)) == .accept
        }
        #expect(isAccepted(entry("later/a")) && isAccepted(entry("later/b")))
        #expect(!isAccepted(entry("later/c")) && !isAccepted(entry("later/d", 5)))
        for number in 0..<CharterQuota.statements {
            #expect(isAccepted(entry("statement/seen/c\(number)", 64)))
        }
        #expect(!isAccepted(entry("statement/more")))
        #expect(gate.refusedCount(of: cluster(2)) == 2)
        gate.removed("statement/seen/c1", of: cluster(2))
        #expect(gate.readmissible(of: cluster(2)) == ["statement/more"])
        gate.removed("later/a", of: cluster(2))
        #expect(gate.readmissible(of: cluster(2)) == ["later/c"])
    }
}
