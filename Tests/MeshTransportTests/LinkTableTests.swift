// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust
import Testing

@testable import MeshTransport

@Suite("One link for each pair of nodes")
struct LinkTableTests {
    static let low = NodeID(cluster: ClusterID(rawValue: 1)!, name: "a")!
    static let high = NodeID(cluster: ClusterID(rawValue: 2)!, name: "a")!

    enum Dialler { case low, high }
    enum Outcome { case kept, replaced, stale }

    @Test(
        "both sides decide alike between an old and a new link",
        arguments: [
            (Dialler.low, Dialler.high, Outcome.kept), (.high, .low, .replaced),
            (.low, .low, .replaced), (.high, .high, .replaced),
        ])
    func agreement(first: Dialler, second: Dialler, expected: Outcome) {
        for own in [Self.low, Self.high] {
            let peer = own == Self.low ? Self.high : Self.low
            let ownRole: Dialler = own == Self.low ? .low : .high
            var table = LinkTable<Void>(own: own)
            func entry(_ id: UInt64, _ dialler: Dialler) -> LinkTable<Void>.Entry {
                .init(
                    id: LinkID(rawValue: id), node: peer, incarnation: 1,
                    isInitiator: dialler == ownRole, connection: ())
            }
            _ = table.admit(entry(1, first))
            #expect(outcome(table.admit(entry(2, second))) == expected)
            #expect(table[peer]?.id.rawValue == (expected == .replaced ? 2 : 1))
            #expect(table.entries.count == 1)
        }
    }

    @Test("a newer instance of a node always wins, an older one never")
    func incarnations() {
        var table = LinkTable<Void>(own: Self.low)
        func entry(_ id: UInt64, incarnation: UInt64, isInitiator: Bool) -> LinkTable<Void>.Entry {
            .init(
                id: LinkID(rawValue: id), node: Self.high, incarnation: incarnation,
                isInitiator: isInitiator, connection: ())
        }
        _ = table.admit(entry(1, incarnation: 5, isInitiator: true))
        #expect(outcome(table.admit(entry(2, incarnation: 6, isInitiator: false))) == .replaced)
        #expect(outcome(table.admit(entry(3, incarnation: 5, isInitiator: true))) == .stale)
        table.remove(LinkID(rawValue: 2))
        #expect(table[Self.high] == nil)
        _ = table.admit(entry(4, incarnation: 1, isInitiator: false))
        #expect(table[Self.high]?.id.rawValue == 4)
    }

    private func outcome(_ decision: LinkTable<Void>.Decision) -> Outcome? {
        switch decision {
        case .accepted(let replaced): replaced == nil ? nil : .replaced
        case .refused(.duplicate): .kept
        case .refused(.staleIncarnation): .stale
        case .refused: nil
        }
    }

    @Test("waits double up to the maximum and never shrink below half")
    func backoff() {
        var random = SystemRandomNumberGenerator()
        var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(5))
        for whole in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let wait = backoff.next(using: &random)
            #expect(wait <= .milliseconds(whole) && wait >= .milliseconds(whole) / 2)
        }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(100))
    }

    @Test("a thousand targets are dialled a few at once, then at a pace; a pause pays for a burst")
    func dialBudget() {
        var budget = DialBudget(burst: 10, perSecond: 20)
        let start = Instant(nanoseconds: 1_000_000_000)
        let waits = (0..<1_000).map { _ in budget.take(at: start) }
        #expect(waits.prefix(10).allSatisfy { $0 == .zero })
        #expect(waits[10] == .milliseconds(50) && waits[29] == .seconds(1))
        #expect(waits[999] == .milliseconds(49_500))
        let later = start + .seconds(60)
        let again = (0..<11).map { _ in budget.take(at: later) }
        #expect(again[9] == .zero && again[10] == .milliseconds(50))
    }

    @Test("a peer that is refused again and again fills no log, nor do a thousand of them")
    func refusalLog() {
        var log = RefusalLog()
        let start = Instant(nanoseconds: 1)
        let line: [(peer: String, seconds: Int, isLogged: Bool)] = [
            ("a", 0, true), ("a", 59, false), ("b", 59, true), ("a", 60, true),
        ]
        for (peer, seconds, isLogged) in line {
            let isAdmitted = log.admits(peer, at: start + .seconds(seconds))
            #expect(isAdmitted == isLogged)
        }
        let admitted = (0..<5_000).filter { log.admits("stranger \($0)", at: start + .seconds(61)) }
        #expect(admitted.count <= RefusalLog.peersMaximum)
        let isAdmittedLater = log.admits("stranger 4999", at: start + .seconds(200))
        #expect(isAdmittedLater)
    }

    @Test("a hello survives its encoding; no shorter one is accepted, longer ones are")
    func hello() throws {
        let hello = RawPeer.hello(ClusterName(rawValue: "west")!, 2, "node-1")
        let bytes = hello.encoded
        #expect(try Hello(decoding: bytes) == hello)
        #expect(try Hello(decoding: bytes + [1, 2, 3]) == hello)
        for length in 0..<bytes.count {
            #expect(throws: DecodingFault.self) { try Hello(decoding: Array(bytes.prefix(length))) }
        }
    }
}
