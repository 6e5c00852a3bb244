// SPDX-License-Identifier: Apache-2.0

/// Beats of one path that go inside the overlay: every second one, where both ends can. So a broken
/// overlay shows although the underlay answers, and costs no datagram.
///
/// One is missed only if the beats around it came: silence on both ways is the path's affair. Each end
/// judges what comes in and tells the other.
struct InsideBeats: Sendable {
    /// Counts of missing beats stop here: ``Path/missedMaximum`` beyond the allowance of one.
    static let missedMaximum = Path.missedMaximum + 1

    private(set) var lastWentInside = false
    /// In a row, of those that were to come in.
    private(set) var unheard = 0
    /// The same at the other end, by its own word.
    private var unheardThere = 0
    private var lastBeatGoes = false
    private var peerTakes = false

    /// Whether the next beat goes inside; out of turn or not, it is every second one.
    mutating func next(mayGo: Bool) -> Bool {
        lastWentInside = mayGo && !lastWentInside
        lastBeatGoes = mayGo
        return lastWentInside
    }

    /// The peer has begun a new life.
    mutating func restart() {
        unheard = 0
        unheardThere = 0
    }

    /// - Parameters:
    ///   - isPrompt: false if this process was held up: the order in which it reads the two ways then
    ///     says nothing.
    ///   - last: the newest that was heard before, of the same life of the peer.
    mutating func observe(
        _ beat: Heartbeat, isInside: Bool, isPrompt: Bool = true, after last: Heartbeat?
    ) {
        // Late as well: overtaken by the next one, which took another way.
        if isInside { unheard = 0 }
        guard beat.sequence > last?.sequence ?? 0 else { return }
        peerTakes = beat.takesInside
        unheardThere = min(Int(beat.insideMissed), Self.missedMaximum)
        guard !isInside, isPrompt, let last else { return }
        if beat.followsInside, beat.sequence == last.sequence + 2 {
            unheard = min(unheard + 1, Self.missedMaximum)
        } else if !beat.followsInside, beat.sequence == last.sequence + 1 {
            // The peer sends none there any more.
            unheard = 0
        }
    }

    var isInUse: Bool { peerTakes && lastBeatGoes }

    /// In the worse direction.
    var missed: Int { isInUse ? max(unheard, unheardThere) : 0 }
}
