// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshModel

/// The replacement of an authority's root or intermediate, so that at every moment every peer can
/// verify every certificate in use.
///
/// The shell saves the value after each input and before it performs ``due``. Killed at any point, it
/// loads the value and goes on with the same ``due``:
///
///     save(rotation)
///     while let effect = rotation.due { perform(effect); rotation.performed(effect, now: now); save(rotation) }
///
/// At most one rotation of an authority runs at a time, and nothing else publishes its bundle then.
public struct Rotation: Hashable, Sendable, Codable {
    public let kind: RotationKind
    /// Counts the keys of that kind: the number of the new one.
    public let generation: UInt64
    public let parameters: RotationParameters
    public let started: Date
    public let outgoing: AuthorityKey
    /// Nil until it was made.
    public private(set) var incoming: AuthorityKey?
    public private(set) var phase = RotationPhase.preparing
    /// In the order of their names.
    public private(set) var peers: [RotationPeer] = []
    /// When nothing can rest on the old key any more; nil before ``RotationPhase/active``.
    public private(set) var retirement: Date?
    /// Who hadn't acknowledged when the operator forced the rotation on.
    public private(set) var forcedWithout: [ClusterName] = []
    /// The last published sequence before this rotation.
    private let baseSequence: UInt64
    /// How many of the phase's effects are done.
    private var performedCount = 0

    /// - Parameters:
    ///   - sequence: that of the bundle in force.
    ///   - peers: the roster of now, see ``update(peers:now:)``.
    public init(
        _ kind: RotationKind, generation: UInt64, replacing outgoing: AuthorityKey,
        sequence: UInt64, peers: [RotationPeer], parameters: RotationParameters = .init(),
        now: Date
    ) {
        self.kind = kind
        self.generation = generation
        self.outgoing = outgoing
        self.parameters = parameters
        started = now
        baseSequence = sequence
        self.peers = peers.sorted { $0.cluster < $1.cluster }
    }

    /// The effect to perform next, once the value is saved; nil while it waits, and at the end.
    public var due: RotationEffect? {
        let effects = effects
        return performedCount < effects.count ? effects[performedCount] : nil
    }

    /// The bundle that peers must acknowledge before the new root is used.
    public var awaitedSequence: UInt64 { baseSequence + 1 }

    /// Whom it waits for now, in the order of their names.
    public var waitingFor: [RotationPeer] {
        phase == .published && due == nil ? unacknowledged : []
    }

    /// What it waits for or does, as a sentence.
    public var status: String {
        let what = "rotation of the \(kind.rawValue)"
        switch phase {
        case .preparing: return "\(what): the new key is being made"
        case .published where due == nil:
            let names = waitingFor.map(\.description).joined(separator: ", ")
            return "\(what): waiting for \(names) to acknowledge bundle \(awaitedSequence)"
        case .published: return "\(what): the new root is being published"
        case .acknowledged: return "\(what): the authority is changing over"
        case .active where due == nil:
            return "\(what): certificates under the old key are in use until "
                + (retirement ?? started).ISO8601Format()
        case .active: return "\(what): nodes are renewing"
        case .retiring: return "\(what): the old key is being removed"
        case .removed: return "\(what) is complete"
        case .aborting: return "\(what): the new key is being withdrawn"
        case .aborted: return "\(what) was aborted"
        }
    }
}

// MARK: - Inputs

extension Rotation {
    /// The key that ``RotationEffect/generateKey(_:generation:)`` asked for is made and saved.
    public mutating func generated(_ key: AuthorityKey, now: Date) -> [RotationEvent] {
        guard phase == .preparing, incoming == nil else { return [] }
        incoming = key
        return advance(now)
    }

    /// An effect is done, durably. Any but ``due`` is ignored: it was done before a crash.
    public mutating func performed(_ effect: RotationEffect, now: Date) -> [RotationEvent] {
        if case .generateKey = effect { return [] }
        guard effect == due else { return [] }
        performedCount += 1
        return advance(now)
    }

    /// A cluster says that all its nodes hold its bundle of that sequence; a lower one changes nothing.
    public mutating func acknowledged(
        _ cluster: ClusterName, sequence: UInt64, now: Date
    ) -> [RotationEvent] {
        guard let index = peers.firstIndex(where: { $0.cluster == cluster }),
            sequence > peers[index].acknowledged
        else { return [] }
        let wasAwaited = waitingFor.contains { $0.cluster == cluster }
        peers[index].acknowledged = sequence
        guard wasAwaited, sequence >= awaitedSequence else { return advance(now) }
        let rest = waitingFor.map(\.description).joined(separator: ", ")
        let event = RotationEvent(
            phase: phase,
            sentence: "\(cluster) holds bundle \(sequence)"
                + (rest.isEmpty ? "" : ", still waiting for \(rest)"))
        return [event] + advance(now)
    }

    /// The clusters of the mesh, or their liveness, changed. Whoever isn't named has left and is
    /// waited for no longer; what a peer acknowledged before is remembered.
    public mutating func update(peers: [RotationPeer], now: Date) -> [RotationEvent] {
        let former = self.peers
        self.peers = peers.sorted { $0.cluster < $1.cluster }.map { peer in
            var peer = peer
            let known = former.first { $0.cluster == peer.cluster }?.acknowledged ?? 0
            peer.acknowledged = max(peer.acknowledged, known)
            return peer
        }
        return advance(now)
    }

    /// Every node of the cluster presents a certificate under the new key, and no session rests on one
    /// under the old: it need not wait for them to expire. Early news is ignored: tell it again.
    public mutating func allRenewed(now: Date) -> [RotationEvent] {
        guard phase == .active, due == nil, let retirement else { return [] }
        // A handshake under way still carries the former certificate.
        self.retirement = min(retirement, now + parameters.clockSkewSeconds)
        return advance(now)
    }

    public mutating func tick(now: Date) -> [RotationEvent] { advance(now) }

    /// Goes on without those that haven't acknowledged.
    ///
    /// - Returns: their names: they won't be able to verify this cluster until they get its bundle,
    ///   and must be joined again if that is after the old root's end.
    /// - Throws: ``RotationFault/nothingToForce(_:)``
    public mutating func force(
        now: Date
    ) throws(RotationFault) -> (broken: [ClusterName], events: [RotationEvent]) {
        guard phase == .published, due == nil else { throw .nothingToForce(phase) }
        forcedWithout = unacknowledged.map(\.cluster)
        return (forcedWithout, advance(now))
    }

    /// Withdraws the new key. Possible until the authority changes over to it.
    ///
    /// - Throws: ``RotationFault/tooLateToAbort(_:)``
    public mutating func abort(now: Date) throws(RotationFault) -> [RotationEvent] {
        guard phase == .preparing || phase == .published else { throw .tooLateToAbort(phase) }
        return [enter(.aborting)] + advance(now)
    }
}

// MARK: - Rules

extension Rotation {
    private var unacknowledged: [RotationPeer] {
        peers.filter { $0.acknowledged < awaitedSequence }
    }

    private var effects: [RotationEffect] {
        guard let incoming else {
            switch phase {
            case .preparing: return [.generateKey(kind, generation: generation)]
            // It may have been made without this value having learnt of it.
            case .aborting: return [.discardKey(kind, generation: generation)]
            default: return []
            }
        }
        let (old, new) = (outgoing.keyIdentifier, incoming.keyIdentifier)
        switch phase {
        case .preparing, .removed, .aborted: return []
        case .published: return [.publish(sequence: awaitedSequence, roots: [old, new])]
        case .acknowledged: return [.switchIssuer(to: new)]
        case .active: return [.reissue(under: new)]
        case .retiring:
            let removal = RotationEffect.publish(sequence: awaitedSequence + 1, roots: [new])
            return (kind == .root ? [removal] : []) + [.drop(old)]
        case .aborting:
            // Whether the bundle got out before a crash is unknown: the withdrawal exceeds both.
            let withdrawal = RotationEffect.publish(sequence: awaitedSequence + 1, roots: [old])
            return (kind == .root ? [withdrawal] : [])
                + [.discardKey(kind, generation: generation)]
        }
    }

    /// Passes through every phase whose end is reached.
    private mutating func advance(_ now: Date) -> [RotationEvent] {
        var events: [RotationEvent] = []
        while due == nil, let next = next(now) {
            if phase == .acknowledged { retirement = now + restingSeconds }
            events.append(enter(next))
        }
        return events
    }

    /// How long something may rest on the old key after the change. A slow clock uses a certificate a
    /// little longer, and peers an intermediate holds for need not be waited for.
    private var restingSeconds: Double {
        switch kind {
        case .root:
            parameters.leafLifeSeconds + parameters.sessionGraceSeconds
                + parameters.clockSkewSeconds
        case .intermediate: 0
        }
    }

    private func next(_ now: Date) -> RotationPhase? {
        switch phase {
        case .preparing: kind == .root ? .published : .acknowledged
        case .published:
            unacknowledged.allSatisfy { forcedWithout.contains($0.cluster) } ? .acknowledged : nil
        case .acknowledged: .active
        case .active: now >= retirement ?? .distantFuture ? .retiring : nil
        case .retiring: .removed
        case .aborting: .aborted
        case .removed, .aborted: nil
        }
    }

    private mutating func enter(_ next: RotationPhase) -> RotationEvent {
        phase = next
        performedCount = 0
        return RotationEvent(phase: next, sentence: sentence(entering: next))
    }

    private func sentence(entering phase: RotationPhase) -> String {
        let new = incoming?.keyIdentifier ?? "number \(generation)"
        switch phase {
        case .preparing: return "a new \(kind.rawValue) is being made"
        case .published: return "new root \(new) goes out with bundle \(awaitedSequence)"
        case .acknowledged where kind == .intermediate:
            return "new intermediate \(new) is ready, peers anchor at the root"
        case .acknowledged:
            let without = forcedWithout.map(\.rawValue).joined(separator: ", ")
            return without.isEmpty
                ? "every peer holds new root \(new)"
                : "forced on although these can't verify new root \(new) yet: \(without)"
        case .active: return "the authority signs with \(new)"
        case .retiring: return "nothing rests on \(outgoing.keyIdentifier) any more"
        case .removed: return "\(outgoing.keyIdentifier) is removed, the rotation is complete"
        case .aborting: return "the rotation is aborted, new key \(new) is withdrawn"
        case .aborted: return "new key \(new) is withdrawn, \(outgoing.keyIdentifier) stays"
        }
    }
}
