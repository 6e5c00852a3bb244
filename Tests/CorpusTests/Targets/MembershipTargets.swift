// SPDX-License-Identifier: Apache-2.0

import MeshMembership
import MeshModel

let membershipTargets: [FuzzTarget] = [
    FuzzTarget("gossip", seeds: gossipSeeds) { bytes in try checkGossip(bytes) }
]

private let roster = ["a", "b", "c", "d"]

/// A member of four, some way into its life.
private func member(_ name: String) -> (core: Membership, now: Instant, sent: [[UInt8]]) {
    var core = Membership(own: name, seed: 1)
    var effects = MembershipEffects()
    var now = Instant(nanoseconds: 1_000_000_000)
    core.configure(roster: roster, at: now, into: &effects)
    for _ in 0..<20 {
        guard let wake = core.nextWake else { break }
        now = wake
        core.tick(at: now, into: &effects)
    }
    return (core, now, effects.sends.map(\.bytes))
}

/// Datagrams from its neighbour, each behind a byte with its length: whatever they say, only the
/// roster's names are held, and everything sent fits and goes to one of them.
private func checkGossip(_ bytes: [UInt8]) throws {
    var (core, now, _) = member("a")
    var effects = MembershipEffects()
    var rest = bytes[...]
    while let length = rest.popFirst() {
        let datagram = Array(rest.prefix(Int(length)))
        rest = rest.dropFirst(Int(length))
        core.receive(datagram, from: "b", at: now, into: &effects)
        now = max(now, core.nextWake ?? now)
        core.tick(at: now, into: &effects)
    }
    try demand(core.statuses.map(\.name) == roster, "other names are held: \(core.statuses)")
    try demand(core.status(of: "a")?.state == .alive, "a member holds itself for dead")
    for send in effects.sends {
        try demand(send.bytes.count <= 1184, "\(send.bytes.count) bytes are sent")
        try demand(send.to != "a" && roster.contains(send.to), "\(send.to) is told something")
    }
}

@Sendable private func gossipSeeds() throws -> [[UInt8]] {
    let sent = member("b").sent.filter { $0.count <= 255 }
    let framed = sent.map { [UInt8($0.count)] + $0 }
    return framed + [framed.flatMap(\.self)]
}
