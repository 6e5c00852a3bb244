// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What this node knows of another's keys.
struct GossipPeer {
    /// How long a key that is no longer listed still counts: a roster may be a stale one.
    static let grace = Duration.seconds(60)
    /// Keys of one peer in their grace; the oldest goes first.
    static let formerMaximum = 2

    /// As the roster has them, the newest last; not empty.
    private(set) var listed: [GossipKey]
    /// Listed before, the newest last.
    private(set) var former: [(key: GossipKey, until: Instant)] = []
    /// Which of its keys is sealed to.
    private(set) var target: GossipKey
    /// To which own key it sealed last: that one it knows.
    private(set) var answered: GossipKey?
    private(set) var heardAt: Instant?
    /// IDs of its pairs.
    var pairs: [UInt64] = []

    init(listed: [GossipKey]) {
        self.listed = listed
        target = listed[listed.count - 1]
    }

    var keys: [GossipKey] { listed + former.map(\.key) }

    mutating func list(_ keys: [GossipKey], at now: Instant) {
        for key in listed { former.append((key, now + Self.grace)) }
        former.removeAll { keys.contains($0.key) || now >= $0.until }
        former.removeFirst(max(0, former.count - Self.formerMaximum))
        listed = keys
        target = keys[keys.count - 1]
    }

    /// Authentic, under its key `remote`, to the own key `own`.
    ///
    /// A peer that speaks under a key no longer listed is there, and the roster behind: it is
    /// answered there. Among listed keys the newest is taken whatever the peer still uses, for that
    /// is how it learns that this node knows it.
    mutating func hear(under remote: GossipKey, to own: GossipKey, at now: Instant) {
        target = listed.contains(remote) ? listed[listed.count - 1] : remote
        answered = own
        heardAt = now
    }

    func accepts(_ remote: GossipKey, at now: Instant) -> Bool {
        listed.contains(remote) || former.contains { $0.key == remote && now < $0.until }
    }

    /// - Returns: whether a key's grace ended.
    mutating func expire(at now: Instant) -> Bool {
        let count = former.count
        former.removeAll { now >= $0.until }
        if !keys.contains(target) { target = listed[listed.count - 1] }
        return former.count < count
    }
}
