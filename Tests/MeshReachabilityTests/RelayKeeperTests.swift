// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("A cluster's set of relays")
struct RelayKeeperTests {
    static let cluster = ClusterID(rawValue: 1)!
    static let start = Instant(nanoseconds: 5_000_000_000)

    /// Of one zone unless told otherwise, in the order of their rank.
    static let names = RelayChoice.relays(
        among: ["a", "b", "c", "d", "e"].map { RelayCandidate(name: $0, zone: "") }, of: cluster,
        count: 5)
    static let (first, second, third) = (names[0], names[1], names[2])
    static let (fourth, fifth) = (names[3], names[4])

    var keeper = RelayKeeper(of: cluster, live: names)
    var now = start
    var candidates = names.map { RelayCandidate(name: $0, zone: "") }
    /// As the ledger has it: what was announced is there at once.
    var held: RelaySetRecord?

    @discardableResult
    mutating func look(after wait: Duration = .seconds(1)) -> [String]? {
        now = now + wait
        guard let set = keeper.next(after: held, among: candidates, at: now) else { return nil }
        held = set
        return set.relays
    }

    mutating func note(_ name: String, isLive: Bool) {
        keeper.note(name, isLive: isLive, at: now)
    }

    init() { look() }

    @Test("is the three of the highest rank at first, of generation 1, and then stands")
    mutating func first() {
        #expect(held == RelaySetRecord(generation: 1, relays: Array(Self.names.prefix(3))))
        for _ in 0..<200 { #expect(look() == nil) }
    }

    @Test("gives a dead relay's place to a living node at once; the others keep theirs")
    mutating func death() {
        note(Self.second, isLive: false)
        #expect(look() == [Self.first, Self.fourth, Self.third])
        #expect(held?.generation == 2)
    }

    @Test("lets a node back in only after a minute of life, whatever its rank")
    mutating func hold() {
        note(Self.first, isLive: false)
        #expect(look() == [Self.fourth, Self.second, Self.third])
        note(Self.first, isLive: true)
        let back = now
        while now - back < .seconds(59) { #expect(look() == nil) }
        #expect(look() == [Self.first, Self.second, Self.third], "the last in rank gives way")
    }

    @Test(
        "makes a node that was dead lately no relay even of a free place, and its hold begins anew")
    mutating func flapping() {
        candidates = Array(candidates.prefix(3))
        note(Self.second, isLive: false)
        #expect(look() == [Self.first, Self.third], "there is nobody else")
        for _ in 0..<5 {
            note(Self.second, isLive: true)
            for _ in 0..<30 { #expect(look() == nil) }
            note(Self.second, isLive: false)
        }
        note(Self.second, isLive: true)
        #expect(look(after: .seconds(60)) == [Self.first, Self.third, Self.second])
    }

    @Test("gives free places to new nodes at once, and living relays' places only to settled ones")
    mutating func newcomers() {
        keeper = RelayKeeper(of: Self.cluster, live: [Self.third, Self.fourth])
        held = nil
        #expect(look() == [Self.third, Self.fourth], "others aren't known to live")
        note(Self.fifth, isLive: true)
        #expect(look() == [Self.third, Self.fourth, Self.fifth])
        note(Self.first, isLive: true)
        note(Self.second, isLive: true)
        for _ in 0..<59 { #expect(look() == nil) }
        #expect(look() == [Self.third, Self.fourth, Self.first])
        #expect(look() == nil, "one place at a time: the new path has to come up")
        #expect(look(after: .seconds(4)) == [Self.third, Self.second, Self.first])
    }

    @Test("keeps a relay of which nothing is known, for that is not dead")
    mutating func unknown() {
        keeper = RelayKeeper(of: Self.cluster, live: [Self.fifth])
        #expect(look() == nil)
        note(Self.first, isLive: false)
        #expect(look() == [Self.fifth, Self.second, Self.third])
    }

    @Test("changes once a second at most, and then for all that happened")
    mutating func pace() {
        note(Self.first, isLive: false)
        #expect(look(after: .milliseconds(999)) == nil)
        #expect(look(after: .milliseconds(1)) != nil)
        note(Self.second, isLive: false)
        #expect(look(after: .milliseconds(900)) == nil)
        note(Self.third, isLive: false)
        #expect(look(after: .milliseconds(100)) == [Self.fourth, Self.fifth])
    }

    @Test(
        "is never empty: if all look dead the last one stands, and whoever lives comes in at once")
    mutating func extinction() {
        for name in Self.names { note(name, isLive: false) }
        #expect(look() == nil)
        note(Self.fifth, isLive: true)
        #expect(look() == [Self.fifth], "no hold where nobody else is left")
        note(Self.fourth, isLive: true)
        #expect(look() == [Self.fifth, Self.fourth], "nor where one is")
        note(Self.first, isLive: true)
        #expect(look() == nil)
        candidates = []
        #expect(look() == nil)
    }

    @Test("moves the last place into one that is lost, so that one path of three is left alone")
    mutating func shrinking() {
        candidates = Array(candidates.prefix(3))
        note(Self.first, isLive: false)
        #expect(look() == [Self.third, Self.second])
    }

    @Test("has relays of different zones where there are, and a new zone takes a place in time")
    mutating func zones() {
        candidates = Self.names.map {
            RelayCandidate(name: $0, zone: [Self.fourth, Self.fifth].contains($0) ? "y" : "x")
        }
        keeper = RelayKeeper(of: Self.cluster, live: Self.names.filter { $0 != Self.fourth })
        #expect(look() == [Self.first, Self.second, Self.fifth])
        note(Self.fifth, isLive: false)
        note(Self.fourth, isLive: true)
        #expect(
            look() == [Self.first, Self.second, Self.fourth], "before the third, who ranks higher")
    }

    @Test("goes on from the generation of the ledger, and forgets what came into none")
    mutating func succession() {
        held = RelaySetRecord(generation: 41, relays: [Self.first, Self.second, Self.third])
        note(Self.first, isLive: false)
        #expect(look() != nil)
        #expect(held?.generation == 42)
        // Announced, and not in the ledger yet.
        let late = held
        held = RelaySetRecord(generation: 41, relays: [Self.first, Self.second, Self.third])
        #expect(look() == nil)
        keeper.resign()
        #expect(look() == late?.relays)
        #expect(held == late)
    }

    @Test("leaves out whoever isn't a member any more")
    mutating func removal() {
        candidates.removeAll { $0.name == Self.third }
        #expect(look() == [Self.first, Self.second, Self.fourth])
    }
}
