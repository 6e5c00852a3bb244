// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Keeps a cluster's set of relays to living nodes: watches on every node that may publish, and says
/// on the one that does when another set is to be announced.
///
/// - Relays are the ``RelayChoice/countDefault`` nodes of the highest rank, in different zones where
///   there are, among those that live.
/// - A dead relay's place goes at once to a node that lives and wasn't dead lately; the second place
///   to any that lives.
/// - A living relay keeps its place. Only one that has lived for ``ReachabilityParameters/relayHold``
///   takes it from it, one place at a time.
/// - A node that isn't known to be dead stays a relay; none becomes one before it is known to live.
/// - Places keep their numbers, by which paths are paired: as few paths as can be change with a set.
/// - At most one change an interval; never an empty set: if all look dead, the last one stands.
///
/// A value without clock or log; all times are of one clock of the caller's.
public struct RelayKeeper: Sendable {
    private enum Life: Hashable, Sendable {
        /// - since: nil is longer ago than the hold.
        /// - hasReturned: from the dead.
        case live(since: Instant?, hasReturned: Bool)
        case dead
    }

    private let cluster: ClusterID
    private let parameters: ReachabilityParameters
    private var lives: [String: Life] = [:]
    /// Announced by this node, and perhaps not in its ledger yet.
    private var announced: RelaySetRecord?
    private var changedAt: Instant?

    /// - Parameters:
    ///   - live: nodes that lived before this process started, itself included.
    ///   - dead: nodes that were dead before.
    public init(
        of cluster: ClusterID, live: some Sequence<String>, dead: some Sequence<String> = [],
        parameters: ReachabilityParameters = .default
    ) {
        self.cluster = cluster
        self.parameters = parameters
        for name in live { lives[name] = .live(since: nil, hasReturned: false) }
        for name in dead { lives[name] = .dead }
    }

    /// A node of the own cluster is judged live or dead.
    public mutating func note(_ name: String, isLive: Bool, at now: Instant) {
        guard isLive else {
            lives[name] = .dead
            return
        }
        switch lives[name] {
        case .live: break
        case .dead: lives[name] = .live(since: now, hasReturned: true)
        case nil: lives[name] = .live(since: now, hasReturned: false)
        }
    }

    public func isDead(_ name: String) -> Bool { lives[name] == .dead }

    /// This node no longer publishes: what it announced last may never have reached a ledger.
    public mutating func resign() {
        announced = nil
        changedAt = nil
    }

    /// Whether it is known of every one of them that it lives, or that it is dead.
    public func knows(_ names: some Sequence<String>) -> Bool {
        names.allSatisfy { lives[$0] != nil }
    }

    /// The set to announce now, of a generation above all before.
    ///
    /// - Parameters:
    ///   - held: as the own ledger has it.
    ///   - candidates: nodes that may be relays, living or not.
    /// - Returns: nil if the set is right, can't be bettered, or was changed just now: ask again later.
    public mutating func next(
        after held: RelaySetRecord?, among candidates: [RelayCandidate], at now: Instant
    ) -> RelaySetRecord? {
        if let changedAt, now - changedAt < parameters.relaySetInterval { return nil }
        let last = [held, announced].compactMap(\.self).max { $0.generation < $1.generation }
        guard let names = better(than: last?.relays ?? [], among: candidates, at: now)
        else { return nil }
        let next = RelaySetRecord(
            generation: min(last?.generation ?? 0, .max - 1) + 1, relays: names)
        announced = next
        changedAt = now
        return next
    }

    // MARK: -

    private func better(
        than last: [String], among candidates: [RelayCandidate], at now: Instant
    ) -> [String]? {
        let stayers = last.compactMap { name in candidates.first { $0.name == name } }
            .filter { lives[$0.name] != .dead }
        let kept = Array(stayers.prefix(RelayChoice.countDefault))
        var fit = candidates.filter { isFit($0.name, at: now) }
        // A lone relay's death would look like the cluster's: a second one can't make it worse.
        if Set(kept + fit).count < 2 { fit = candidates.filter { isLive($0.name) } }
        var places: [String?] = last.map { name in
            kept.contains { $0.name == name } ? name : nil
        }
        let additions = RelayChoice.additions(to: kept, among: fit, of: cluster)
        if additions.isEmpty, let (former, successor) = displacement(kept, fit, at: now) {
            places = places.map { $0 == former ? successor : $0 }
        }
        let names = Self.fill(places, with: additions)
        return names.isEmpty || names == last ? nil : names
    }

    /// A living relay that isn't among the best any more gives its place to one that is.
    private func displacement(
        _ kept: [RelayCandidate], _ fit: [RelayCandidate], at now: Instant
    ) -> (former: String, successor: String)? {
        if let changedAt, now - changedAt < parameters.handover { return nil }
        let settled = fit.filter { node in
            isSettled(node.name, at: now) && !kept.contains(node)
        }
        let best = RelayChoice.relays(among: kept + settled, of: cluster)
        guard let former = kept.last(where: { !best.contains($0.name) })?.name,
            let successor = best.first(where: { name in !kept.contains { $0.name == name } })
        else { return nil }
        return (former, successor)
    }

    /// Newcomers take free places; what is still free goes, and the last place moves into it.
    private static func fill(_ places: [String?], with additions: [String]) -> [String] {
        var places = places
        var rest = additions[...]
        for index in places.indices where places[index] == nil { places[index] = rest.popFirst() }
        places += rest.map(Optional.init)
        while let hole = places.firstIndex(of: nil) {
            let last = places.removeLast()
            if hole < places.count { places[hole] = last }
        }
        return places.compactMap(\.self)
    }

    private func isLive(_ name: String) -> Bool {
        if case .live = lives[name] { true } else { false }
    }

    /// May take a free place.
    private func isFit(_ name: String, at now: Instant) -> Bool {
        guard case .live(_, let hasReturned) = lives[name] else { return false }
        return !hasReturned || isSettled(name, at: now)
    }

    /// May take a living relay's place.
    private func isSettled(_ name: String, at now: Instant) -> Bool {
        guard case .live(let since, _) = lives[name] else { return false }
        return since.map { now - $0 >= parameters.relayHold } ?? true
    }
}
