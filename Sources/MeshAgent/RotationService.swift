// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import MeshTrust
import ServiceLifecycle
import X509

/// What a rotation asks of the rest of the agent.
struct RotationSurroundings: Sendable {
    var authority: @Sendable () -> CertificateAuthority
    /// Signs with that one from now on; it is on disk already.
    var use: @Sendable (CertificateAuthority) throws -> Void
    /// Of the roots in force, as this cluster announced them.
    var sequence: @Sendable () async -> UInt64
    /// Announces these roots for the own cluster's and all others' nodes; nothing if they are announced
    /// already. Durable when it returns.
    var announce: @Sendable (_ roots: [Certificate]) async throws -> Void
    /// Has the own nodes renew until their certificates rest on this key.
    var require: @Sendable (AuthorityKey) async -> Void
    /// Signs again with the present key what must outlast the former one.
    var reissue: @Sendable () async throws -> Void
    /// Every cluster that must hold a bundle, the own one among them, and what it holds.
    var peers: @Sendable () async -> [RotationPeer]
    /// Own nodes whose certificates don't rest on this key.
    var laggards: @Sendable (AuthorityKey) async -> [String]
    var audit: @Sendable (AuditEntry) -> Void
}

/// Replaces the root or the intermediate of the own cluster, on its home. Killed at any point it goes
/// on where it was.
actor RotationService: Service {
    static let fileName = "rotation"
    static let interval = Duration.seconds(1)
    private static let warningInterval = Duration.seconds(300)

    private struct Kept: Codable {
        var rotation: Rotation?
        /// Of all that were begun.
        var count: UInt64 = 0
    }

    private let folder: String
    private let surroundings: RotationSurroundings
    private let log: Logger
    private var kept: Kept
    /// Why the effect that is due isn't performed; nil if nothing is wrong.
    private(set) var obstacle: String?
    /// Nodes that still use the former key's certificates, while that is all that is waited for.
    private(set) var laggards: [String] = []
    private var quietFor = Duration.zero
    /// Steps one after the other: they wait for others in between.
    private var isStepping = false

    /// - Parameter folder: the authority's.
    /// - Throws: ``TrustError`` for a damaged file: keys of an unfinished rotation may lie about, so
    ///   that nothing is begun anew.
    init(
        folder: String, surroundings: RotationSurroundings, log: Logger
    ) throws(TrustError) {
        self.folder = folder
        self.surroundings = surroundings
        self.log = log
        kept = try TrustStateFile.load(named: Self.fileName, in: folder) ?? Kept()
    }

    private var authority: CertificateAuthority { surroundings.authority() }

    /// The last that was begun, which may have ended.
    var rotation: Rotation? { kept.rotation }

    /// Begins to replace the root or the intermediate.
    ///
    /// - Throws: ``RotationRefusal/underway(_:)``
    func begin(_ kind: RotationKind, by actor: AuditActor, now: Date = Date()) async throws {
        if let rotation = kept.rotation, !rotation.phase.isFinal {
            throw refuse(RotationRefusal.underway(rotation.status), by: actor)
        }
        let (sequence, peers) = (await surroundings.sequence(), await surroundings.peers())
        // Somebody may have been quicker while these answered.
        if let rotation = kept.rotation, !rotation.phase.isFinal {
            throw refuse(RotationRefusal.underway(rotation.status), by: actor)
        }
        try save(
            Kept(
                rotation: Rotation(
                    kind, generation: kept.count + 1,
                    replacing: authority.authorityKey(kind), sequence: sequence,
                    peers: kind == .root ? peers : [], now: now), count: kept.count + 1))
        surroundings.audit(AuditEntry(.rotate, .granted, by: actor, reason: "begun"))
        await step(now: now)
    }

    private func refuse<Refusal: Error & AuditPrintable>(
        _ refusal: Refusal, by actor: AuditActor
    ) -> Refusal {
        surroundings.audit(AuditEntry(.rotate, .refused, by: actor, reason: "\(refusal)"))
        return refusal
    }

    /// Goes on without those that haven't acknowledged; see ``Rotation/force(now:)``.
    func force(by actor: AuditActor, now: Date = Date()) async throws -> [ClusterName] {
        guard var rotation = kept.rotation, !rotation.phase.isFinal
        else { throw refuse(RotationRefusal.none, by: actor) }
        let (broken, events): ([ClusterName], [RotationEvent])
        do {
            (broken, events) = try rotation.force(now: now)
        } catch {
            throw refuse(error, by: actor)
        }
        try save(rotation, events)
        surroundings.audit(AuditEntry(.rotate, .granted, by: actor, reason: "forced"))
        await step(now: now)
        return broken
    }

    func abort(by actor: AuditActor, now: Date = Date()) async throws {
        guard var rotation = kept.rotation, !rotation.phase.isFinal
        else { throw refuse(RotationRefusal.none, by: actor) }
        let events: [RotationEvent]
        do {
            events = try rotation.abort(now: now)
        } catch {
            throw refuse(error, by: actor)
        }
        try save(rotation, events)
        surroundings.audit(AuditEntry(.rotate, .granted, by: actor, reason: "aborted"))
        await step(now: now)
    }

    func run() async throws {
        // What nodes were told before a restart they are told again.
        if let rotation = kept.rotation, let incoming = rotation.incoming,
            [.active, .retiring, .removed].contains(rotation.phase)
        {
            await surroundings.require(incoming)
        }
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            quietFor -= Self.interval
            await step(now: Date())
        }
    }

    /// Takes in what others say, and performs what is due.
    func step(now: Date) async {
        guard !isStepping else { return }
        isStepping = true
        defer { isStepping = false }
        do {
            try await hear(now: now)
            while let rotation = kept.rotation, let effect = rotation.due {
                try await perform(effect, of: rotation, now: now)
            }
            obstacle = nil
        } catch {
            obstacle = "\(error)"
            guard quietFor <= .zero else { return }
            quietFor = Self.warningInterval
            log.warning(
                "The rotation of the CA's key can't go on",
                metadata: ["error": "\(error)", "state": "\(kept.rotation?.status ?? "")"])
        }
    }

    private func hear(now: Date) async throws {
        guard let before = kept.rotation, !before.phase.isFinal else { return }
        let peers = before.kind == .root ? await surroundings.peers() : []
        var laggards: [String]?
        if before.phase == .active, let incoming = before.incoming {
            laggards = await surroundings.laggards(incoming)
        }
        // It may have been aborted or forced while others answered.
        guard var rotation = kept.rotation, !rotation.phase.isFinal else { return }
        var events = rotation.update(peers: peers, now: now)
        for peer in peers {
            events += rotation.acknowledged(peer.cluster, sequence: peer.acknowledged, now: now)
        }
        self.laggards = laggards ?? []
        if laggards == [] { events += rotation.allRenewed(now: now) }
        events += rotation.tick(now: now)
        guard rotation != kept.rotation else { return }
        try save(rotation, events)
    }

    private func perform(
        _ effect: RotationEffect, of rotation: Rotation, now: Date
    ) async throws {
        var made: AuthorityKey?
        switch effect {
        case .generateKey(let kind, _):
            made = try authority.makeSuccessor(kind, now: now).authorityKey(kind)
        case .publish(_, let roots): try await surroundings.announce(certificates(of: roots))
        case .switchIssuer(let key):
            try surroundings.use(try authority.succeeded(by: key, kind: rotation.kind))
        case .reissue:
            if let incoming = rotation.incoming { await surroundings.require(incoming) }
            try await surroundings.reissue()
        case .drop: try authority.dropPredecessor()
        case .discardKey: try authority.discardSuccessor()
        }
        guard var current = kept.rotation, current.due == effect else { return }
        let events =
            made.map { current.generated($0, now: now) }
            ?? current.performed(effect, now: now)
        try save(current, events)
    }

    private func certificates(of roots: [String]) throws -> [Certificate] {
        let authority = authority
        let known = [authority, try authority.successor(), try authority.predecessor()]
            .compactMap { $0 }
        return try roots.map { wanted in
            guard
                let holder = known.first(where: {
                    $0.authorityKey(.root).keyIdentifier == wanted
                })
            else { throw RotationRefusal.lost(wanted) }
            return holder.chain[1]
        }
    }

    private func save(_ rotation: Rotation, _ events: [RotationEvent]) throws {
        try save(Kept(rotation: rotation, count: kept.count))
        for event in events {
            log.notice("Rotation of the CA's key", metadata: ["event": "\(event)"])
            surroundings.audit(
                AuditEntry(.rotate, .noted, by: .agent, reason: "\(event)"))
        }
    }

    private func save(_ kept: Kept) throws {
        try TrustStateFile.save(kept, named: Self.fileName, in: folder)
        self.kept = kept
    }
}

/// Why a rotation isn't begun or changed.
enum RotationRefusal: Error, Hashable {
    case underway(String)
    case none
    /// The root with this key identifier isn't in the authority's folder.
    case lost(String)
}

extension RotationRefusal: AuditPrintable {
    var description: String {
        switch self {
        case .underway(let status): "one is under way: \(status)"
        case .none: "no rotation is under way"
        case .lost(let key): "the root \(key) isn't in the authority's folder"
        }
    }
}

extension RotationService: CustomStringConvertible {
    /// What the log calls this service.
    nonisolated var description: String { "RotationService" }
}
