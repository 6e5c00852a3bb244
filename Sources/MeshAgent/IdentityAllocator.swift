// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MeshModel

/// Gives each set of policy-relevant labels of one cluster its number. Lives on the publisher.
///
/// Numbers are handed out ever upwards, from blocks that were reserved durably before, so that a new
/// publisher need only begin above the mark to give nobody a number that its predecessor gave to
/// others. The mark counts on past the last number: 2^20 stands for number 256 once more, and so on.
/// In such a later round only numbers are given that nobody uses and nobody used for the quarantine;
/// labels that come back within it get their old number. What a publisher doesn't know about a
/// number from before its time counts as released when it started.
struct IdentityAllocator: Sendable {
    /// Reserved at once: what a fail-over costs in numbers.
    static let blockSize: UInt32 = 1024
    /// With fewer left the next block is asked for: at 1,000 new label sets a second the store has a
    /// quarter of a second to answer.
    static let lowWater = 256
    static let quarantine = Duration.seconds(3600)

    enum Shortage: Hashable, Sendable {
        /// There are numbers; the next block isn't reserved yet.
        case unreserved
        /// Every number is in use or in quarantine.
        case exhausted
    }

    private struct Owner {
        let labels: Labels
        /// Nil while the number is in use.
        var releasedAt: Instant?
    }

    private let cluster: ClusterID
    /// The highest number to give out.
    private let last: UInt32
    private let quarantine: Duration
    private let startedAt: Instant
    /// A store without a mark is new, or was lost.
    private let hadMark: Bool

    private var numbers: [Labels: UInt32] = [:]
    /// Who has a number, or had it less than the quarantine ago.
    private var owners: [UInt32: Owner] = [:]
    /// The same numbers, less 256.
    private var taken: NumberSet
    /// In order of time. A number that was taken up again stands here still, with another time.
    private var released: Deque<(number: UInt32, at: Instant)> = []
    /// Next to be handed out, and the first that isn't reserved; both count on past ``last``.
    private var cursor: UInt32
    private var end: UInt32
    /// Why the last request that got nothing did.
    private(set) var shortage: Shortage?

    /// - Parameters:
    ///   - mark: numbers below it were reserved by earlier publishers; 0 if the store has none.
    ///   - startedAt: on the clock of all later calls, which must not stop while the host sleeps.
    init(
        cluster: ClusterID, mark: UInt32 = 0, last: UInt32 = Identity.localMaximum,
        quarantine: Duration = Self.quarantine, startedAt: Instant
    ) {
        self.cluster = cluster
        self.last = last
        self.quarantine = quarantine
        self.startedAt = startedAt
        hadMark = mark > 0
        taken = NumberSet(bound: Int(last - Identity.firstAllocated + 1))
        cursor = max(mark, Identity.firstAllocated)
        end = cursor
    }

    /// The identity of `labels`: the known one, else `claimed` where that can be true, else a new one.
    ///
    /// - Parameter claimed: the number that the endpoint's node has for exactly these labels from an
    ///   earlier publisher.
    /// - Returns: nil for now, see ``shortage``: the endpoint stays *initializing*.
    mutating func identity(
        for labels: Labels, claimed: Identity? = nil, at now: Instant
    ) -> Identity? {
        forgetReleased(at: now)
        if let number = numbers[labels] {
            owners[number]?.releasedAt = nil
            return Identity(cluster: cluster, local: number)
        }
        if let claimed, isCredible(claimed, at: now) {
            raiseCursor(above: claimed.local)
            return assign(claimed.local, to: labels)
        }
        guard let next = nextFree(from: cursor, at: now) else {
            shortage = .exhausted
            return nil
        }
        guard next < end else {
            shortage = .unreserved
            return nil
        }
        cursor = next + 1
        return assign(Identity.firstAllocated + UInt32(index(of: next)), to: labels)
    }

    /// Nobody uses the identity any more, and the ledger says so.
    mutating func release(_ identity: Identity, at now: Instant) {
        guard identity.cluster == cluster, owners[identity.local] != nil else { return }
        owners[identity.local]?.releasedAt = now
        released.append((identity.local, now))
    }

    private mutating func assign(_ number: UInt32, to labels: Labels) -> Identity? {
        numbers[labels] = number
        owners[number] = Owner(labels: labels, releasedAt: nil)
        taken.insert(Int(number - Identity.firstAllocated))
        return Identity(cluster: cluster, local: number)
    }

    private mutating func forgetReleased(at now: Instant) {
        while let first = released.first, now - first.at >= quarantine {
            released.removeFirst()
            guard let owner = owners[first.number], owner.releasedAt == first.at else { continue }
            owners[first.number] = nil
            if numbers[owner.labels] == first.number { numbers[owner.labels] = nil }
            taken.remove(Int(first.number - Identity.firstAllocated))
        }
    }
}

// MARK: What earlier publishers gave out

extension IdentityAllocator {
    /// Takes over a record of the ledger, which makes its number one in use.
    ///
    /// - Returns: false if the record should go, and its number be released: others have the number,
    ///   the labels have another one, or it is none to give at all.
    mutating func adopt(_ record: IdentityRecord) -> Bool {
        let number = record.identity.local
        guard isAllocatable(record.identity) else { return false }
        raiseCursor(above: number)
        guard owners[number] == nil else { return false }
        owners[number] = Owner(labels: record.labels, releasedAt: nil)
        taken.insert(Int(number - Identity.firstAllocated))
        guard numbers[record.labels] == nil else { return false }
        numbers[record.labels] = number
        return true
    }

    /// In the first round a number had one meaning at most, so what a node says of it is news. Later
    /// it might be something that nobody remembers, older than what the number meant last.
    private func isCredible(_ claimed: Identity, at now: Instant) -> Bool {
        guard isAllocatable(claimed), owners[claimed.local] == nil else { return false }
        guard end <= last + 1 || remembersAll(at: now) else { return false }
        // Without a mark numbers in use are the only trace of who had them.
        return claimed.local < end || !hadMark
    }

    private func isAllocatable(_ identity: Identity) -> Bool {
        identity.cluster == cluster && (Identity.firstAllocated...last).contains(identity.local)
    }

    private mutating func raiseCursor(above number: UInt32) {
        guard number >= end else { return }
        cursor = number + 1
        end = cursor
    }
}

// MARK: Reservations

extension IdentityAllocator {
    /// The mark that the store shall hold; nil if numbers enough are left. Whoever writes it has one
    /// such write under way at a time, and goes by the newest answer.
    mutating func reservationNeeded(at now: Instant) -> UInt32? {
        forgetReleased(at: now)
        let left = eligible(cursor..<end, at: now)
            .reduce(0) { $0 + taken.missingCount(in: $1.indices) }
        guard left < Self.lowWater, let next = nextFree(from: end, at: now) else { return nil }
        let target = min(sum(next, Self.blockSize), sum(cursor, roundLength))
        // When nearly all are taken, one write for every number that comes free won't do.
        guard left == 0 || target - end >= UInt32(Self.lowWater) else { return nil }
        return target
    }

    /// The store holds the mark now, durably; it held this allocator's former one before.
    mutating func reserved(upTo mark: UInt32) { end = max(end, mark) }

    private var roundLength: UInt32 { last - Identity.firstAllocated + 1 }

    private func remembersAll(at now: Instant) -> Bool { now - startedAt >= quarantine }

    /// Where in ``taken`` a number stands that counts on past ``last``.
    private func index(of position: UInt32) -> Int {
        Int((position - Identity.firstAllocated) % roundLength)
    }

    private func nextFree(from position: UInt32, at now: Instant) -> UInt32? {
        let range = position..<max(position, sum(cursor, roundLength))
        for part in eligible(range, at: now) {
            if let found = taken.firstMissing(in: part.indices) {
                return part.start + UInt32(found - part.indices.lowerBound)
            }
        }
        return nil
    }

    /// The parts of `range`, at most a round long, whose numbers are free unless ``taken``.
    private func eligible(
        _ range: Range<UInt32>, at now: Instant
    ) -> [(start: UInt32, indices: Range<Int>)] {
        var parts: [(UInt32, Range<Int>)] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let index = index(of: start)
            let count = min(range.upperBound - start, roundLength - UInt32(index))
            // Nobody had a number before the first round reached it.
            if start <= last || remembersAll(at: now) {
                parts.append((start, index..<index + Int(count)))
            }
            start += count
        }
        return parts
    }

    /// Saturates: 2^32 numbers, reserved a thousand a second, last for seven weeks.
    private func sum(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
