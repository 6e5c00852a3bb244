// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import Testing

@testable import MeshAgent

/// Node `a` of a cluster in which `b` lives and someone publishes.
@Suite("What a node believes of its own cluster")
struct OwnClusterViewTests {
    private var view = OwnClusterView(node: "a")
    private let mine = endpoint("mine", on: "a", "10.1.0.1")
    private let theirs = endpoint("theirs", on: "b", "10.1.1.1")

    private mutating func ledger(_ records: (any LedgerRecord)...) {
        _ = view.applyLedger(records.map { change($0.key, $0.encoded) })
    }

    @Test("its own endpoints never wait for the ledger")
    mutating func ownEndpoint() throws {
        let changed = view.setReport(of: "a", said(mine))
        #expect(changed == [mine.key])
        #expect(view.record(for: mine.key) == mine.encoded)
    }

    @Test("an own endpoint that is deleted here disappears at once, whatever the ledger says")
    mutating func deletedHere() {
        _ = view.setReport(of: "a", said(mine))
        ledger(published("mine", on: "a", "10.1.0.1", identity: identity(256)))
        let changed = view.setReport(of: "a", [:])
        #expect(changed == [mine.key])
        #expect(view.record(for: mine.key) == nil)
        // Late news from the ledger don't bring it back.
        ledger(published("mine", on: "a", "10.1.0.1", identity: identity(257)))
        #expect(view.record(for: mine.key) == nil)
    }

    @Test("before this node has spoken, the ledger's word on its endpoints stands")
    mutating func beforeTheFirstReport() {
        let record = published("mine", on: "a", "10.1.0.1", identity: identity(256))
        ledger(record)
        #expect(view.record(for: record.key) == record.encoded)
    }

    @Test(
        "an own endpoint has the ledger's identity if its addresses agree, else none yet",
        arguments: [
            (published("mine", on: "a", "10.1.0.1", identity: identity(300)), UInt32(300)),
            (published("mine", on: "a", "10.1.0.9", identity: identity(300)), nil),
            (published("mine", on: "b", "10.1.0.1", identity: identity(300)), nil),
        ])
    mutating func identityFromLedger(record: EndpointRecord, local: UInt32?) throws {
        _ = view.setReport(of: "a", said(mine))
        ledger(record)
        let read = try EndpointRecord(encoded: try #require(view.record(for: mine.key)))
        #expect(read.addresses == mine.addresses && read.labels == mine.labels)
        #expect(read.identity == local.map { identity($0) } ?? Identity(rawValue: 0))
    }

    @Test("services are what the ledger says while the publisher answers, own ones too")
    mutating func services() {
        #expect(view.setReport(of: "b", said(service("x"))).isEmpty)
        _ = view.setReport(of: "a", said(service("y")))
        #expect(view.record(for: service("x").key) == nil)
        #expect(view.record(for: service("y").key) == nil)
        ledger(service("x", ip: "10.96.9.9"))
        #expect(view.record(for: service("x").key) == service("x", ip: "10.96.9.9").encoded)
    }

    @Test("another node's endpoints wait for the ledger while the publisher answers")
    mutating func remoteEndpoint() {
        #expect(view.setReport(of: "b", said(theirs)).isEmpty)
        #expect(view.record(for: theirs.key) == nil)
    }

    @Test("reports count when the publisher is lost, and no longer when it is back")
    mutating func publisherLost() {
        ledger(
            published("theirs", on: "b", "10.1.1.1", identity: identity(256)),
            published("old", on: "b", "10.1.1.2", identity: identity(256)),
            published("silent", on: "c", "10.1.2.1", identity: identity(256)),
            service("x"))
        let new = endpoint("new", on: "b", "10.1.1.3")
        _ = view.setReport(of: "b", said(theirs, new, service("y")))
        let old = RecordKey(kind: .endpoint, name: "default/old")
        let silent = RecordKey(kind: .endpoint, name: "default/silent")

        let lost = view.setPublisherAnswers(false)
        #expect(lost.isSuperset(of: [new.key, old, service("y").key]))
        #expect(view.usesReports)
        #expect(view.record(for: new.key) == new.encoded)
        #expect(view.record(for: old) == nil)
        #expect(view.record(for: silent) != nil, "c has said nothing: the ledger stands")
        #expect(view.record(for: service("x").key) != nil)
        #expect(view.record(for: service("y").key) != nil)
        // What comes meanwhile counts at once.
        #expect(view.setReport(of: "b", said(theirs)) == [new.key, service("y").key])
        #expect(view.record(for: new.key) == nil)

        #expect(view.setPublisherAnswers(true).isSuperset(of: [old]))
        #expect(view.record(for: old) != nil)
        #expect(view.setPublisherAnswers(true).isEmpty)
    }

    @Test("without a publisher the own word goes before others', theirs by their names")
    mutating func ownWordFirst() {
        _ = view.setPublisherAnswers(false)
        let versions = (1...3).map { service("x", ip: "10.96.0.\($0)") }
        _ = view.setReport(of: "c", said(versions[2]))
        _ = view.setReport(of: "b", said(versions[1]))
        #expect(view.record(for: versions[0].key) == versions[1].encoded)
        _ = view.setReport(of: "a", said(versions[0]))
        #expect(view.record(for: versions[0].key) == versions[0].encoded)
    }

    @Test("the ledger is up to date when nothing would be lost or come back by going by it")
    mutating func upToDate() {
        #expect(view.isLedgerUpToDate, "nobody said anything")
        _ = view.setReport(of: "b", said(theirs, service("x")))
        #expect(!view.isLedgerUpToDate)
        ledger(published("theirs", on: "b", "10.1.1.1", identity: identity(256)))
        #expect(!view.isLedgerUpToDate, "the service is missing")
        ledger(service("x"))
        #expect(view.isLedgerUpToDate)
        let receipt = ReceiptRecord(node: "b", bundles: [:], issuers: [], authority: [])
        _ = view.setReport(of: "b", said(theirs, service("x"), receipt))
        #expect(view.isLedgerUpToDate, "no ledger has receipts")
        // Another node's older word may be in force: it is some node's.
        _ = view.setReport(of: "a", said(service("x", ip: "10.96.0.9")))
        #expect(view.isLedgerUpToDate)
        _ = view.setReport(of: "b", said(endpoint("theirs", on: "b", "10.1.1.2")))
        #expect(!view.isLedgerUpToDate, "the address changed")
        _ = view.setReport(of: "b", [:])
        #expect(!view.isLedgerUpToDate, "the endpoint would come back")
        ledger(published("silent", on: "c", "10.1.2.1", identity: identity(256)))
        _ = view.applyLedger([change(theirs.key, nil)])
        _ = view.setReport(of: "a", [:])
        #expect(view.isLedgerUpToDate, "c has said nothing")
    }

    @Test(
        "every change of a record in force is among the keys a mutation returns", arguments: 1...8)
    mutating func nothingUnsaid(seed: UInt64) {
        let records: [[any LedgerRecord]] = [
            [], [mine], [theirs], [mine, service("x")], [endpoint("mine", on: "b", "10.1.1.9")],
            [published("theirs", on: "b", "10.1.1.1", identity: identity(256)), service("x")],
            [published("mine", on: "a", "10.1.0.1", identity: identity(257))],
        ]
        let keys = [mine.key, theirs.key, service("x").key]
        var state = seed
        func random(_ bound: Int) -> Int {
            // Knuth's constants of MMIX.
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for step in 0..<500 {
            let before = keys.map { view.record(for: $0) }
            let pick = records[random(records.count)]
            let values = Dictionary(pick.map { ($0.key, $0.encoded) }) { $1 }
            let changed: Set<RecordKey>
            let action = random(5)
            switch action {
            case 0: changed = view.setReport(of: "a", values)
            case 1: changed = view.setReport(of: "b", values)
            case 2: changed = view.applyLedger(values.map { change($0, $1) })
            case 3: changed = view.applyLedger(values.keys.map { change($0, nil) })
            default: changed = view.setPublisherAnswers(view.usesReports)
            }
            for (key, old) in zip(keys, before) where !changed.contains(key) {
                #expect(view.record(for: key) == old, "step \(step), action \(action): \(key)")
            }
        }
    }
}

private func change(_ key: RecordKey, _ value: [UInt8]?) -> LedgerReplacement {
    LedgerReplacement(key: key.description, former: nil, value: value)
}
