// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport
import Testing

@testable import MeshAgent

@Suite("A node's report")
struct ReportTests {
    private static func reports(_ messages: [Message]) -> [Message.Report] {
        messages.compactMap { if case .report(let report) = $0 { report } else { nil } }
    }

    /// Services `s0`, `s1`, … with values of `bytes` each.
    private static func many(_ count: Int, bytes: Int) -> [RecordKey: [UInt8]] {
        Dictionary(
            uniqueKeysWithValues: (0..<count).map {
                (
                    RecordKey(kind: .service, name: "default/s\($0)"),
                    [UInt8](repeating: UInt8($0 % 251), count: bytes)
                )
            })
    }

    private static func take(
        _ messages: [Message], into book: inout ReportBook, from node: String = "a"
    ) -> [Set<RecordKey>] {
        reports(messages).map { book.apply($0, from: node) }
    }

    @Test("tells what changed and nothing else; what reads the same keeps its age")
    func differences() {
        var report = OwnReport()
        let first = Self.reports(report.replace(with: said(service("x"), service("y")), now: 10))
        #expect(first.map(\.puts.count) == [2])
        #expect(!first[0].opens && !first[0].closes)
        #expect(report.replace(with: said(service("x"), service("y")), now: 20).isEmpty)

        let second = Self.reports(
            report.replace(with: said(service("x"), service("y", ip: "10.96.0.2")), now: 30))
        #expect(second[0].puts.map(\.key) == [service("y").key])
        #expect(second[0].puts.map(\.since) == [30])
        #expect(report.records[service("x").key]?.since == 10)

        let third = Self.reports(report.replace(with: said(service("y", ip: "10.96.0.2")), now: 40))
        #expect(third[0].puts.isEmpty && third[0].deletes == [service("x").key])
    }

    @Test("of nothing at all still opens and closes")
    func empty() {
        #expect(
            OwnReport().full
                == [.report(Message.Report(opens: true, closes: true, puts: [], deletes: []))])
    }

    @Test(
        "becomes as many messages as it takes, each of which fits a frame and decodes",
        arguments: [(1, RecordLimit.valueBytes), (40, 63 * 1024), (3000, 600), (20_001, 10)])
    func chunks(count: Int, bytes: Int) throws {
        var report = OwnReport()
        let told = report.replace(with: Self.many(count, bytes: bytes), now: 1)
        let full = report.full
        for messages in [told, full] {
            for message in messages {
                #expect(message.encoded.count <= Frame.payloadMaximum)
                #expect(try Message(encoded: message.encoded) == message)
            }
            let puts = Self.reports(messages).flatMap(\.puts)
            #expect(puts.count == count)
        }
        let flags = Self.reports(full).map { [$0.opens, $0.closes] }
        #expect(flags.filter { $0[0] }.count == 1 && flags.first?[0] == true)
        #expect(flags.filter { $0[1] }.count == 1 && flags.last?[1] == true)
    }

    @Test("that takes very much back fits its frames too")
    func massDeletion() throws {
        var report = OwnReport()
        let names = (0..<25_000).map {
            "default/" + String(repeating: "n", count: 500) + "\($0)"
        }
        let records = Dictionary(
            uniqueKeysWithValues: names.map { (RecordKey(kind: .service, name: $0), [UInt8(1)]) })
        var book = ReportBook()
        _ = Self.take(report.replace(with: records, now: 1), into: &book)
        let told = report.replace(with: [:], now: 2)
        for message in told {
            #expect(message.encoded.count <= Frame.payloadMaximum)
            #expect(throws: Never.self) { try Message(encoded: message.encoded) }
        }
        _ = Self.take(told, into: &book)
        #expect(book.values(of: "a").isEmpty)
    }

    @Test("complete, sweeps what is gone; what stays is there all the time and doesn't change")
    func sweep() {
        let before = Self.many(40, bytes: 60 * 1024)
        let gone = RecordKey(kind: .service, name: "default/s7")
        var book = ReportBook()
        var report = OwnReport()
        _ = report.replace(with: before, now: 1)
        #expect(Self.take(report.full, into: &book).flatMap(\.self).count == 40)

        _ = report.replace(with: before.filter { $0.key != gone }, now: 2)
        let messages = report.full
        #expect(messages.count > 3)
        for (index, part) in Self.reports(messages).enumerated() {
            let changed = book.apply(part, from: "a")
            let isLast = index == messages.count - 1
            #expect(changed == (isLast ? [gone] : []))
            #expect(book.values(of: "a").count == (isLast ? 39 : 40))
        }
    }

    @Test("broken off by a lost link and told again, loses nothing and leaves nothing behind")
    func interrupted() {
        var report = OwnReport()
        _ = report.replace(with: Self.many(30, bytes: 60 * 1024), now: 1)
        var book = ReportBook()
        let parts = Self.reports(report.full)
        _ = book.apply(parts[0], from: "a")
        _ = book.apply(parts[1], from: "a")
        #expect(!book.isComplete(of: "a"))

        _ = report.replace(with: Self.many(20, bytes: 60 * 1024), now: 2)
        _ = Self.take(report.full, into: &book)
        #expect(book.isComplete(of: "a"))
        #expect(book.values(of: "a") == Self.many(20, bytes: 60 * 1024))
    }

    @Test("that changes while it is told in full ends with the change")
    func changeWithin() {
        var report = OwnReport()
        _ = report.replace(with: Self.many(30, bytes: 60 * 1024), now: 1)
        let parts = Self.reports(report.full)
        var book = ReportBook()
        _ = book.apply(parts[0], from: "a")
        var changed = Self.many(30, bytes: 60 * 1024)
        changed[service("new").key] = [1]
        let difference = Self.reports(report.replace(with: changed, now: 2))
        for part in difference + parts.dropFirst() { _ = book.apply(part, from: "a") }
        #expect(book.values(of: "a") == changed)
    }

    @Test("is one node's: another one's sweep doesn't touch it")
    func twoNodes() {
        var book = ReportBook()
        var a = OwnReport()
        var b = OwnReport()
        _ = a.replace(with: said(service("x")), now: 1)
        _ = b.replace(with: said(service("x"), service("y")), now: 2)
        _ = Self.take(a.full, into: &book, from: "a")
        _ = Self.take(b.full, into: &book, from: "b")
        _ = Self.take(OwnReport().full, into: &book, from: "b")
        #expect(book.values(of: "a") == said(service("x")))
        #expect(book.values(of: "b").isEmpty)
        #expect(book.complete == ["a", "b"])
    }
}
