// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MeshModel

/// How much history each replica keeps for others to catch up with: the smaller of both. Beyond it
/// they need a snapshot.
public struct LogWindowLimit: Hashable, Sendable {
    public let batches: Int
    public let bytes: Int

    public init(batches: Int, bytes: Int) {
        self.batches = batches
        self.bytes = bytes
    }

    /// For each of `count` owners, so that all of them together stay small.
    public static func shared(among count: Int) -> LogWindowLimit {
        let bytes = ReplicationLimit.sharedWindowBytes / max(count, 1)
        return LogWindowLimit(
            batches: ReplicationLimit.windowBatches,
            bytes: min(
                max(bytes, ReplicationLimit.leastWindowBytes), ReplicationLimit.windowBytes))
    }

    public static let standard = LogWindowLimit(
        batches: ReplicationLimit.windowBatches, bytes: ReplicationLimit.windowBytes)
}

/// The last batches of an owner, as messages ready to be sent: whoever stands inside the window
/// catches up by deltas, whoever stands before it needs a snapshot.
struct LogWindow: Sendable {
    struct Entry: Sendable {
        let head: LedgerHead
        /// The encoded ``Message/batch(_:)``.
        let message: [UInt8]
        /// Shards that the batch changes, and those of them whose bodies the message has.
        let changed: ShardSet
        let present: ShardSet

        /// What to send to a reader of `interest`; nil if the message lacks something of it.
        func message(for interest: ShardSet) -> [UInt8]? {
            let wanted = changed.intersection(interest)
            guard wanted.isSubset(of: present) else { return nil }
            guard wanted != present, case .batch(let batch)? = try? Message(decoding: message)
            else { return message }
            return Message.batch(batch.keeping(interest)).encoded
        }
    }

    private let limit: LogWindowLimit
    /// Where the first entry starts from.
    private(set) var base: LedgerHead
    private var entries: Deque<Entry> = []
    private(set) var byteCount = 0

    init(base: LedgerHead, limit: LogWindowLimit) {
        self.base = base
        self.limit = limit
    }

    var count: Int { entries.count }

    mutating func append(_ entry: Entry) {
        entries.append(entry)
        byteCount += entry.message.count
        while entries.count > limit.batches || byteCount > limit.bytes,
            let oldest = entries.popFirst()
        {
            base = oldest.head
            byteCount -= oldest.message.count
        }
    }

    /// Forgets everything: history goes on from `base`.
    mutating func restart(from base: LedgerHead) {
        entries.removeAll()
        byteCount = 0
        self.base = base
    }

    /// The entry that follows `head`, or nil if `head` isn't in the window, or is its end.
    func entry(after head: LedgerHead) -> Entry? {
        if head == base { return entries.first }
        guard let index = index(of: head.position), entries[index].head == head,
            index + 1 < entries.count
        else { return nil }
        return entries[index + 1]
    }

    /// The hash of the header at `position`, as far as the window knows it.
    func hash(at position: Position) -> LedgerDigest? {
        if position == base.position { return base.hash }
        return index(of: position).map { entries[$0].head.hash }
    }

    func message(at position: Position) -> [UInt8]? {
        index(of: position).map { entries[$0].message }
    }

    private func index(of position: Position) -> Int? {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].head.position < position { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].head.position == position ? low : nil
    }
}
