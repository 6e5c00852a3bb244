// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import Testing

@testable import MeshAgent

/// A publisher that hears nodes, the ledger its changes make, and the lease store's mark.
private struct Desk {
    var now = Instant.zero + .seconds(1000)
    var mark: UInt32 = 0
    var storeAnswers = true
    var publisher: Publisher
    var book = ReportBook()
    var reports: [String: OwnReport] = [:]
    var ledger: [String: [UInt8]] = [:]

    init() {
        publisher = Publisher(
            cluster: cluster(1), name: ClusterName(rawValue: "north")!, mark: 0,
            ledger: EmptyCollection(), at: now)
        reserve()
    }

    /// `node` says `records` and nothing else, at `time`.
    mutating func hear(_ node: String, at time: UInt64 = 1, _ records: (any LedgerRecord)...) {
        hear(node, at: time, records)
    }

    mutating func hear(_ node: String, at time: UInt64, _ records: [any LedgerRecord]) {
        var report = reports[node] ?? OwnReport()
        let current = Dictionary(uniqueKeysWithValues: records.map { ($0.key, $0.encoded) })
        let differences = report.replace(with: current, now: time)
        let messages = reports[node] == nil ? report.full : differences
        reports[node] = report
        for case .report(let part) in messages { hear(part, of: node) }
    }

    mutating func hear(_ part: Message.Report, of node: String) {
        let changed = book.apply(part, from: node)
        take(publisher.apply(changed, of: node, from: book, at: now))
        reserve()
    }

    mutating func take(_ changes: [LedgerChange]) {
        for change in changes { ledger[change.key] = change.value }
    }

    mutating func reserve() {
        guard storeAnswers, let wanted = publisher.reservationNeeded(at: now) else { return }
        mark = wanted
        take(publisher.reserved(upTo: wanted, at: now))
    }

    mutating func pass(_ duration: Duration) {
        now = now + duration
        take(publisher.tick(at: now))
        reserve()
    }

    mutating func sweep(members: Set<String>) {
        take(publisher.sweep(reporters: book.complete, members: members, at: now))
    }

    /// A publisher that starts anew with the ledger and the mark, and has heard nobody.
    mutating func restart() {
        publisher = Publisher(
            cluster: cluster(1), name: ClusterName(rawValue: "north")!, mark: mark,
            ledger: ledger.map { LedgerEntry(key: $0.key, value: $0.value) }, at: now)
        book = ReportBook()
        reports = [:]
        reserve()
    }

    func identity(of name: String) throws -> Identity {
        try EndpointRecord(encoded: try #require(ledger["endpoint/default/\(name)"])).identity
    }

    var identities: [String] { ledger.keys.filter { $0.hasPrefix("identity/") }.sorted() }
}

@Suite("Reports become a ledger")
struct PublisherTests {
    private var desk = Desk()

    private func key(_ local: UInt32) -> String { "identity/\(identity(local).rawValue)" }

    @Test("an identity appears with its first user and goes a minute after its last")
    mutating func identityLife() throws {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"))
        #expect(desk.identities == [key(256)])
        #expect(try desk.identity(of: "p") == identity(256))
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1"))
        #expect(desk.identities == [key(256)])
        #expect(try desk.identity(of: "q") == identity(256))
        desk.hear("a")
        desk.pass(.seconds(600))
        #expect(desk.identities == [key(256)], "q still has it")
        desk.hear("b")
        desk.pass(.seconds(59))
        #expect(desk.identities == [key(256)], "a successor may come")
        desk.pass(.seconds(1))
        #expect(desk.ledger.isEmpty)
        // Others get another number; the same labels get theirs back.
        desk.hear("a", endpoint("r", on: "a", "10.1.0.2", labels: ["app": "other"]))
        #expect(try desk.identity(of: "r") == identity(257))
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1"))
        #expect(try desk.identity(of: "q") == identity(256))
        #expect(desk.identities == [key(256), key(257)])
    }

    @Test("a lone pod that is replaced changes nothing about its identity")
    mutating func replacement() throws {
        for round in 0..<5 {
            desk.hear("a", endpoint("p\(round)", on: "a", "10.1.0.1"))
            #expect(try desk.identity(of: "p\(round)") == identity(256))
            desk.pass(.seconds(300))
            desk.hear("a")
            desk.pass(.seconds(45))
            #expect(desk.identities == [key(256)])
        }
        desk.pass(.seconds(15))
        #expect(desk.identities.isEmpty)
    }

    @Test("an endpoint whose labels change moves to another identity; an unused one goes")
    mutating func relabelled() throws {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"))
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1", labels: ["app": "v2"]))
        #expect(try desk.identity(of: "p") == identity(257))
        desk.pass(.seconds(60))
        #expect(desk.identities == [key(257)])
        // A new address is no new identity.
        desk.hear("a", endpoint("p", on: "a", "10.1.0.2", labels: ["app": "v2"]))
        #expect(desk.identities == [key(257)])
    }

    @Test("while no number is reserved endpoints are initializing, which is said, and then served")
    mutating func slowStore() throws {
        desk = Desk()
        desk.publisher = Publisher(
            cluster: cluster(1), name: ClusterName(rawValue: "north")!, mark: desk.mark,
            ledger: EmptyCollection(), at: desk.now)
        desk.storeAnswers = false
        desk.hear(
            "a", endpoint("p", on: "a", "10.1.0.1"), endpoint("q", on: "a", "10.1.0.2"),
            endpoint("r", on: "a", "10.1.0.3", labels: ["app": "r"]),
            endpoint("s", on: "a", "10.1.0.4", labels: ["app": "s"]))
        desk.pass(.seconds(1))
        for name in ["p", "q", "r", "s"] {
            #expect(try desk.identity(of: name).rawValue == 0)
        }
        #expect(desk.publisher.waitingEndpoints == 4)
        let said = try #require(desk.publisher.conflicts.first)
        #expect(said.contains("4 endpoint(s) with 3 new set(s)") && said.contains("lease store"))
        // One that leaves needs none.
        desk.hear(
            "a", endpoint("p", on: "a", "10.1.0.1"), endpoint("q", on: "a", "10.1.0.2"),
            endpoint("s", on: "a", "10.1.0.4", labels: ["app": "s"]))
        desk.storeAnswers = true
        desk.pass(.seconds(1))
        #expect(try desk.identity(of: "p") == identity(1280))
        #expect(try desk.identity(of: "q") == identity(1280))
        #expect(try desk.identity(of: "s") == identity(1281))
        #expect(desk.identities == [key(1280), key(1281)])
        #expect(desk.publisher.waitingEndpoints == 0)
        #expect(desk.publisher.conflicts.isEmpty)
    }

    @Test("pods of a workload that its controllers label differently share an identity")
    mutating func replicas() throws {
        let pods = (0..<200).map { pod in
            endpoint(
                "p\(pod)", on: "a", "10.1.0.\(pod)",
                labels: ["app": "w\(pod % 4)", "pod-template-hash": "\(pod)"])
        }
        desk.hear("a", at: 1, pods)
        #expect(desk.ledger.count == 200 + 4)
        #expect(try desk.identity(of: "p7") == desk.identity(of: "p199"))
    }

    @Test("two endpoints that swap their labels at once keep both identities")
    mutating func swap() throws {
        let (x, y) = (["app": "x"], ["app": "y"])
        desk.hear(
            "a", endpoint("p", on: "a", "10.1.0.1", labels: x),
            endpoint("q", on: "a", "10.1.0.2", labels: y))
        let before = desk.identities
        desk.hear(
            "a", endpoint("p", on: "a", "10.1.0.1", labels: y),
            endpoint("q", on: "a", "10.1.0.2", labels: x))
        #expect(desk.identities == before)
        #expect(try desk.identity(of: "p") == identity(257))
        #expect(try desk.identity(of: "q") == identity(256))
    }

    @Test("the ledger's endpoints carry a number in place of labels")
    mutating func noLabels() throws {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"))
        let record = try EndpointRecord(
            encoded: try #require(desk.ledger["endpoint/default/p"]))
        #expect(record.labels.isEmpty)
        let labels = try IdentityRecord(encoded: try #require(desk.ledger[key(256)])).labels
        #expect(labels["app"] == "echo" && labels["io.weft.cluster"] == "north")
    }

    @Test("of two nodes that describe a service differently the one that did so first wins")
    mutating func conflict() {
        let old = service("x", ip: "10.96.0.1")
        let new = service("x", ip: "10.96.0.2")
        desk.hear("b", at: 10, old)
        desk.hear("a", at: 20, new)
        #expect(desk.ledger["service/default/x"] == old.encoded)
        #expect(desk.publisher.conflicts.count == 1)
        #expect(desk.publisher.conflicts.first?.contains("service/default/x") == true)
        desk.hear("b", at: 30)
        #expect(desk.ledger["service/default/x"] == new.encoded)
        #expect(desk.publisher.conflicts.isEmpty)
    }

    @Test("an older statement that is heard later is in force all the same")
    mutating func olderHeardLater() {
        desk.hear("a", at: 20, service("x", ip: "10.96.0.2"))
        desk.hear("b", at: 10, service("x", ip: "10.96.0.1"))
        #expect(desk.ledger["service/default/x"] == service("x", ip: "10.96.0.1").encoded)
    }

    @Test("a service stays until the last node that tells of it stops")
    mutating func lastTeller() {
        desk.hear("a", service("x"))
        desk.hear("b", service("x"))
        desk.hear("a")
        #expect(desk.ledger["service/default/x"] != nil)
        desk.hear("b")
        #expect(desk.ledger["service/default/x"] == nil)
    }

    @Test("a node speaks for its own endpoints and its own record only")
    mutating func outOfTurn() {
        desk.hear(
            "b", endpoint("p", on: "a", "10.1.0.1"), node("a", "10.1.0.0/24"),
            IdentityRecord(identity: identity(300), labels: [:]))
        #expect(desk.ledger.isEmpty)
        desk.hear("a", at: 99, endpoint("p", on: "a", "10.1.0.1"), node("a", "10.1.0.0/24"))
        #expect(desk.ledger["endpoint/default/p"] != nil)
        #expect(desk.ledger["node/a"] == node("a", "10.1.0.0/24").encoded)
    }

    @Test("after a restart endpoints keep their numbers")
    mutating func adoption() throws {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1", labels: ["app": "x"]))
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1", labels: ["app": "y"]))
        desk.restart()
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1", labels: ["app": "y"]))
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1", labels: ["app": "x"]))
        #expect(try desk.identity(of: "p") == identity(256))
        #expect(try desk.identity(of: "q") == identity(257))
        desk.hear("b", endpoint("r", on: "b", "10.1.1.2", labels: ["app": "z"]))
        #expect(try desk.identity(of: "r") == identity(1280), "above what was reserved before")
    }

    @Test("an identity that the ledger's endpoints have stays, though their node is still silent")
    mutating func silentNode() throws {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"))
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1"))
        desk.restart()
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"))
        desk.hear("a")
        desk.pass(.seconds(900))
        desk.sweep(members: ["a", "b"])
        #expect(desk.identities == [key(256)])
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1"))
        #expect(try desk.identity(of: "q") == identity(256))
        desk.hear("b")
        desk.pass(.seconds(60))
        #expect(desk.ledger.isEmpty)
    }

    @Test("a number that only its node remembers stays, unless it is somebody else's by now")
    mutating func claims() throws {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1", labels: ["app": "x"]))
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1", labels: ["app": "y"]))
        let number = try desk.identity(of: "q")
        // The ledger's latest changes are lost with the publisher.
        for key in [key(257), "endpoint/default/q"] { desk.ledger[key] = nil }
        desk.restart()
        desk.hear(
            "b", endpoint("q", on: "b", "10.1.1.1", labels: ["app": "y"], identity: number),
            endpoint("r", on: "b", "10.1.1.2", labels: ["app": "z"], identity: identity(256)))
        #expect(try desk.identity(of: "q") == identity(257))
        #expect(try desk.identity(of: "r") == identity(1280))
    }

    @Test("of two records for the same labels the ledger keeps one, once everybody has spoken")
    mutating func contendingRecords() throws {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"))
        let labels = try IdentityRecord(encoded: try #require(desk.ledger[key(256)])).labels
        for record in [
            IdentityRecord(identity: identity(300), labels: labels),
            IdentityRecord(identity: identity(9, in: 2), labels: ["app": "foreign"]),
        ] {
            desk.ledger[record.key.description] = record.encoded
        }
        desk.ledger["identity/broken"] = [1]
        desk.restart()
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"))
        #expect(desk.identities.count == 4)
        desk.sweep(members: ["a"])
        #expect(desk.identities == [key(256)])
        #expect(try desk.identity(of: "p") == identity(256))
    }

    @Test("after a restart an endpoint goes only when its node has reported without it")
    mutating func staleEndpoint() {
        desk.hear("a", endpoint("p", on: "a", "10.1.0.1"), service("x"))
        desk.hear("b", endpoint("q", on: "b", "10.1.1.1", labels: ["app": "q"]))
        desk.restart()
        let members: Set = ["a", "b"]
        desk.sweep(members: members)
        #expect(desk.ledger.count == 5, "nobody has spoken")

        desk.hear("a")
        desk.sweep(members: members)
        #expect(desk.ledger["endpoint/default/p"] == nil)
        #expect(desk.ledger["endpoint/default/q"] != nil)
        #expect(desk.ledger["service/default/x"] != nil, "b might still say it")
        #expect(desk.identities.count == 2, "b's endpoints might still have them")

        desk.hear("b", endpoint("q", on: "b", "10.1.1.1", labels: ["app": "q"]))
        desk.sweep(members: members)
        #expect(desk.ledger["service/default/x"] == nil)
        #expect(desk.ledger["endpoint/default/q"] != nil)
        desk.pass(.seconds(60))
        #expect(desk.identities == [key(257)])
    }

    @Test("half a report is not yet one: it takes nothing away")
    mutating func halfReport() {
        let names = (0..<12).map { "p\($0)" }
        var report = OwnReport()
        let records = names.enumerated().map { index, name in
            endpoint(name, on: "a", "10.1.0.\(index + 1)")
        }
        desk.hear("a", records[0], records[1], service("x"))
        desk.restart()
        _ = report.replace(
            with: said(records[0], records[1]).merging(
                [service("big").key: [UInt8](repeating: 1, count: OwnReport.chunkBytes)]
            ) { $1 }, now: 1)
        let parts = report.full.compactMap { message -> Message.Report? in
            if case .report(let part) = message { part } else { nil }
        }
        #expect(parts.count > 1)
        let first = Message.Report(opens: true, closes: false, puts: [], deletes: [])
        desk.hear(first, of: "a")
        desk.sweep(members: ["a"])
        #expect(desk.ledger["endpoint/default/p0"] != nil)
        #expect(desk.ledger["service/default/x"] != nil)
    }

    @Test("what a node that is no member any more left behind goes")
    mutating func removedMember() {
        desk.hear("c", endpoint("p", on: "c", "10.1.2.1"))
        desk.restart()
        desk.hear("a")
        desk.sweep(members: ["a"])
        desk.pass(.seconds(60))
        #expect(desk.ledger.isEmpty)
    }
}
