// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshModel
import Synchronization

/// What became of this node's flows, counted by the clusters at their ends, and the newest of those
/// that were refused.
final class FlowLedger: Sendable {
    /// This node's cluster and each other, in both directions.
    static let pairsMaximum = 2 * Int(ClusterID.maximum) + 2
    static let refusalsMaximum = 256

    struct Pair: Hashable, Sendable {
        /// Nil: outside every cluster.
        let from: ClusterID?
        let to: ClusterID?
    }

    struct Count: Sendable {
        var opened: UInt64 = 0
        var closed: UInt64 = 0
        /// Both directions of the closed ones.
        var packets: UInt64 = 0
        var bytes: UInt64 = 0
        /// Denied, dropped and reset.
        var refused: UInt64 = 0
    }

    /// What one reading of the kernel's buffer adds.
    struct Batch {
        fileprivate var counts: [Pair: Count] = [:]
        /// The newest, in turn.
        fileprivate var refusals: [FlowEvent] = []
        fileprivate var refused: UInt64 = 0

        mutating func add(_ event: FlowEvent) {
            let pair = Pair(
                from: event.source.identity.cluster, to: event.destination.identity.cluster)
            counts[pair, default: Count()].add(event)
            guard event.isRefused else { return }
            if refusals.count < refusalsMaximum {
                refusals.append(event)
            } else {
                refusals[Int(refused % UInt64(refusalsMaximum))] = event
            }
            refused += 1
        }

        /// Oldest first.
        fileprivate var newest: ArraySlice<FlowEvent> {
            let oldest = refused > refusals.count ? Int(refused % UInt64(refusals.count)) : 0
            return refusals[oldest...] + refusals[..<oldest]
        }
    }

    private struct State {
        var counts: [Pair: Count] = [:]
        /// Oldest first.
        var refusals: [FlowEvent] = []
        var refused: UInt64 = 0
    }

    private let state = Mutex(State())

    func add(_ batch: Batch) {
        guard !batch.counts.isEmpty else { return }
        state.withLock { state in
            for (pair, count) in batch.counts
            where state.counts[pair] != nil || state.counts.count < Self.pairsMaximum {
                state.counts[pair, default: Count()].add(count)
            }
            state.refused += batch.refused
            state.refusals += batch.newest
            if state.refusals.count > Self.refusalsMaximum {
                state.refusals.removeFirst(state.refusals.count - Self.refusalsMaximum)
            }
        }
    }

    /// The pair with the most flows first.
    var counts: [(pair: Pair, count: Count)] {
        state.withLock { $0.counts }.sorted { left, right in
            left.value.flows > right.value.flows
        }.map { ($0.key, $0.value) }
    }

    /// Refused flows after the first `position` ones, at most `limit`, the newest; how many there have
    /// been in all, and how many of those asked for are no longer there.
    func refusals(
        after position: UInt64?, atMost limit: Int
    ) -> (events: [FlowEvent], position: UInt64, lost: UInt64) {
        state.withLock { state in
            let news = recent(
                state.refusals, total: state.refused, after: position, atMost: limit)
            return (Array(news.entries), state.refused, news.lost)
        }
    }
}

/// The newest of `entries`, the end of a row of `total`, that are past the first `position`, at most
/// `limit`. What isn't there any more, or too much, is lost; with no position nothing is.
func recent<Entry>(
    _ entries: [Entry], total: UInt64, after position: UInt64?, atMost limit: Int
) -> (entries: ArraySlice<Entry>, lost: UInt64) {
    // A position of an agent's earlier life asks for all there is.
    let position = position.flatMap { $0 <= total ? $0 : nil }
    let wanted = position.map { total - $0 } ?? UInt64(entries.count)
    let given = entries.suffix(min(limit, Int(clamping: wanted)))
    return (given, position == nil ? 0 : wanted - UInt64(given.count))
}

extension FlowLedger.Count {
    fileprivate var flows: UInt64 { opened + refused }

    fileprivate mutating func add(_ event: FlowEvent) {
        switch event.kind {
        case .opened: opened += 1
        case .closed:
            closed += 1
            packets += event.packets
            bytes += event.bytes
        case .denied, .dropped, .reset: refused += 1
        case .audited: break
        }
    }

    fileprivate mutating func add(_ other: Self) {
        opened += other.opened
        closed += other.closed
        packets += other.packets
        bytes += other.bytes
        refused += other.refused
    }
}

extension FlowEvent {
    fileprivate var isRefused: Bool {
        switch kind {
        case .denied, .dropped, .reset: true
        case .opened, .closed, .audited: false
        }
    }
}
