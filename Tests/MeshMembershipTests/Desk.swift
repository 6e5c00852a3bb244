// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshMembership

/// One member whose peers are played by the test: those that answer acknowledge every ping at once,
/// also those for others, and contradict what they are told of themselves; the rest are silent.
struct Desk {
    var core: Membership
    var now = Instant(nanoseconds: 3_600_000_000_000)
    var answering: Set<String> = []
    var incarnations: [String: UInt32] = [:]
    var sent: [(time: Instant, to: String, datagram: Datagram)] = []
    var events: [MembershipEvent] = []

    /// - Parameter peers: of the roster, besides `me`.
    init(
        _ peers: [String], answering: [String]? = nil, witnesses: [NodeID] = [],
        parameters: MembershipParameters = .default
    ) {
        core = Membership(own: "me", parameters: parameters, seed: 7)
        self.answering = Set(answering ?? peers)
        var effects = MembershipEffects()
        core.configure(roster: peers + ["me"], witnesses: witnesses, at: now, into: &effects)
        perform(effects)
    }

    /// Lets time pass, waking the member whenever it asks.
    mutating func wait(_ duration: Duration) {
        let end = now + duration
        while let wake = core.nextWake, wake <= end {
            now = wake
            tick()
        }
        now = end
    }

    mutating func tick() {
        var effects = MembershipEffects()
        core.tick(at: now, into: &effects)
        perform(effects)
    }

    mutating func hear(
        _ message: Message, from name: String, incarnation: UInt32? = nil,
        saying statements: [Statement] = []
    ) {
        let incarnation = incarnation ?? incarnations[name] ?? 1
        hear(
            raw: Datagram(incarnation: incarnation, message: message, statements: statements)
                .encoded, from: name)
    }

    mutating func hear(raw bytes: [UInt8], from name: String) {
        var effects = MembershipEffects()
        core.receive(bytes, from: name, at: now, into: &effects)
        perform(effects)
    }

    mutating func testify(_ words: [String: Bool], by witness: NodeID) {
        var effects = MembershipEffects()
        core.testify(words, by: witness, at: now, into: &effects)
        perform(effects)
    }

    mutating func configure(_ peers: [String]) {
        var effects = MembershipEffects()
        core.configure(roster: peers + ["me"], at: now, into: &effects)
        perform(effects)
    }

    mutating func leave() {
        var effects = MembershipEffects()
        core.leave(at: now, into: &effects)
        perform(effects)
    }

    private mutating func perform(_ effects: MembershipEffects) {
        events += effects.events
        for out in effects.sends {
            guard let datagram = try? Datagram(encoded: out.bytes) else {
                preconditionFailure("it sent what it can't read itself")
            }
            sent.append((now, out.to, datagram))
            guard answering.contains(out.to) else { continue }
            for told in datagram.statements
            where told.name == out.to && told.incarnation >= incarnations[out.to] ?? 1 {
                incarnations[out.to] = told.incarnation + (told.state == .alive ? 0 : 1)
            }
            switch datagram.message {
            case .ping(let number):
                hear(.ack(number), from: out.to)
            case .pingRequest(let number, let target):
                hear(answering.contains(target) ? .ack(number) : .nack(number), from: out.to)
            default: break
            }
        }
    }

    // MARK: Looking

    func state(_ name: String) -> MemberState? { core.status(of: name)?.state }

    var changes: [MemberChange] {
        events.compactMap { if case .changed(let change) = $0 { change } else { nil } }
    }

    func sent(to name: String) -> [Datagram] { sent.filter { $0.to == name }.map(\.datagram) }

    /// Statements about `name` that went to `receiver`, or to anybody.
    func told(_ name: String, to receiver: String? = nil) -> [Statement] {
        sent.filter { receiver == nil || $0.to == receiver }
            .flatMap(\.datagram.statements).filter { $0.name == name }
    }
}

extension Statement {
    static func alive(_ name: String, _ incarnation: UInt32) -> Statement {
        Statement(name: name, state: .alive, incarnation: incarnation, accusers: [])
    }
    static func suspect(_ name: String, _ incarnation: UInt32, by names: String...) -> Statement {
        Statement(name: name, state: .suspect, incarnation: incarnation, accusers: names)
    }
    static func dead(_ name: String, _ incarnation: UInt32, by names: String...) -> Statement {
        Statement(name: name, state: .dead, incarnation: incarnation, accusers: names)
    }
    static func left(_ name: String, _ incarnation: UInt32) -> Statement {
        Statement(name: name, state: .left, incarnation: incarnation, accusers: [])
    }
}

let witnesses = (2...4).map { NodeID(cluster: ClusterID(rawValue: $0)!, name: "relay")! }
