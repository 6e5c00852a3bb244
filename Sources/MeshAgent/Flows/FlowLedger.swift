// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshStore
import Synchronization

/// What became of this node's flows, counted by this node's workload and the clusters at their ends, and
/// the newest of those that were refused. Metrics and the page read the same counts.
final class FlowLedger: Sendable {
    /// This node's cluster and each other, in both directions.
    static let pairsMaximum = 2 * Int(ClusterID.maximum) + 2
    /// Workload, direction and cluster together; more are counted by their clusters only.
    static let seriesMaximum = 64
    /// One in which nothing happened for so long makes room for a new one.
    static let idleLimit = Duration.seconds(900)
    static let refusalsMaximum = 256

    struct Pair: Hashable, Sendable {
        /// Nil: outside every cluster.
        let from: ClusterID?
        let to: ClusterID?
    }

    /// The end of a flow that is on this node: the opener's where both are.
    struct Workload: Hashable, Sendable {
        let namespace: String
        let name: String
    }

    enum Direction: String, Sendable, CaseIterable {
        case egress, ingress
    }

    /// What is counted apart.
    struct Series: Hashable, Sendable {
        let pair: Pair
        let direction: Direction
        /// Nil: neither end is an endpoint of this node.
        let workload: Workload?

        var peer: ClusterID? { direction == .egress ? pair.to : pair.from }
    }

    struct Count: Sendable {
        var opened: UInt64 = 0
        var closed: UInt64 = 0
        /// Both directions of the closed ones.
        var packets: UInt64 = 0
        var bytes: UInt64 = 0
        var denied: UInt64 = 0
        /// Dropped and reset.
        var dropped: UInt64 = 0

        var refused: UInt64 { denied + dropped }
    }

    /// What one reading of the kernel's buffer adds.
    struct Batch {
        fileprivate var counts: [Series: Count] = [:]
        /// The newest, in turn.
        fileprivate var refusals: [FlowEvent] = []
        fileprivate var refused: UInt64 = 0
        private var known: [Address: Workload?] = [:]
        private let workload: (Address) -> Workload?

        /// - Parameter workload: of an endpoint of this node; asked once for each address.
        init(_ workload: @escaping (Address) -> Workload?) { self.workload = workload }

        mutating func add(_ event: FlowEvent) {
            counts[series(of: event), default: Count()].add(event)
            guard event.isRefused else { return }
            if refusals.count < refusalsMaximum {
                refusals.append(event)
            } else {
                refusals[Int(refused % UInt64(refusalsMaximum))] = event
            }
            refused += 1
        }

        private mutating func series(of event: FlowEvent) -> Series {
            let pair = Pair(
                from: event.source.identity.cluster, to: event.destination.identity.cluster)
            if let source = workload(at: event.source) {
                return Series(pair: pair, direction: .egress, workload: source)
            }
            return Series(
                pair: pair, direction: .ingress, workload: workload(at: event.destination))
        }

        private mutating func workload(at side: FlowSide) -> Workload? {
            if let known = known[side.at.address] { return known }
            let found = workload(side.at.address)
            known[side.at.address] = .some(found)
            return found
        }

        /// Oldest first.
        fileprivate var newest: ArraySlice<FlowEvent> {
            let oldest = refused > refusals.count ? Int(refused % UInt64(refusals.count)) : 0
            return refusals[oldest...] + refusals[..<oldest]
        }
    }

    fileprivate struct State {
        var series: [Series: (count: Count, touched: Instant)] = [:]
        /// What had no series of its own.
        var folded: [Pair: Count] = [:]
        /// Of series that made room for others.
        var retired: [Pair: Count] = [:]
        /// Oldest first.
        var refusals: [FlowEvent] = []
        var refused: UInt64 = 0
    }

    private let state = Mutex(State())

    func add(_ batch: Batch, at now: Instant) {
        guard !batch.counts.isEmpty else { return }
        state.withLock { state in
            for (series, count) in batch.counts { state.add(count, to: series, at: now) }
            state.refused += batch.refused
            state.refusals += batch.newest
            if state.refusals.count > Self.refusalsMaximum {
                state.refusals.removeFirst(state.refusals.count - Self.refusalsMaximum)
            }
        }
    }

    /// By workload; `folded` is what had no series of its own.
    var byWorkload: (series: [(series: Series, count: Count)], folded: Count) {
        state.withLock { state in
            var folded = Count()
            for count in state.folded.values { folded.add(count) }
            return (state.series.map { ($0.key, $0.value.count) }, folded)
        }
    }

    /// The pair with the most flows first.
    var counts: [(pair: Pair, count: Count)] {
        var pairs: [Pair: Count] = [:]
        state.withLock { state in
            pairs = state.folded
            for (pair, count) in state.retired { pairs[pair, default: Count()].add(count) }
            for (series, value) in state.series {
                pairs[series.pair, default: Count()].add(value.count)
            }
        }
        return pairs.sorted { $0.value.flows > $1.value.flows }.map { ($0.key, $0.value) }
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

extension FlowLedger.State {
    mutating func add(_ count: FlowLedger.Count, to key: FlowLedger.Series, at now: Instant) {
        if series[key] == nil, series.count >= FlowLedger.seriesMaximum { makeRoom(at: now) }
        guard series[key] != nil || series.count < FlowLedger.seriesMaximum else {
            if folded[key.pair] != nil || folded.count < FlowLedger.pairsMaximum {
                folded[key.pair, default: FlowLedger.Count()].add(count)
            }
            return
        }
        series[key, default: (FlowLedger.Count(), now)].count.add(count)
        series[key]?.touched = now
    }

    private mutating func makeRoom(at now: Instant) {
        guard let idle = series.min(by: { $0.value.touched < $1.value.touched }),
            now - idle.value.touched >= FlowLedger.idleLimit
        else { return }
        series[idle.key] = nil
        if retired[idle.key.pair] != nil || retired.count < FlowLedger.pairsMaximum {
            retired[idle.key.pair, default: FlowLedger.Count()].add(idle.value.count)
        }
    }
}

extension FlowLedger.Workload {
    /// The label that says it for all replicas, or the endpoint's own name.
    static let labels = ["app.kubernetes.io/name", "k8s-app", "app"]

    /// Nil for what is no endpoint of this node.
    init?(_ row: EndpointRow?) {
        guard let row, let object = row.object, let local = row.workload else { return nil }
        self.init(
            namespace: object.namespace,
            name: Self.labels.lazy.compactMap { local.labels[$0] }.first { !$0.isEmpty }
                ?? object.name)
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
    var flows: UInt64 { opened + refused }

    fileprivate mutating func add(_ event: FlowEvent) {
        switch event.kind {
        case .opened: opened += 1
        case .closed:
            closed += 1
            packets += event.packets
            bytes += event.bytes
        case .denied: denied += 1
        case .dropped, .reset: dropped += 1
        case .audited: break
        }
    }

    fileprivate mutating func add(_ other: Self) {
        opened += other.opened
        closed += other.closed
        packets += other.packets
        bytes += other.bytes
        denied += other.denied
        dropped += other.dropped
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
