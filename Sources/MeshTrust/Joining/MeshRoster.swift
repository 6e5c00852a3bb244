// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import MeshModel

/// Which clusters belong to the mesh, as the authority of one of them sees it.
///
/// It is told statements, in any order and as often as they come, and what an operator decides. From
/// what it has been told it derives each cluster's state anew, so the order doesn't matter:
///
/// - An admission by an accepted introducer makes a member; by others, it makes a pending one.
/// - A cluster's roots change only by an announcement that one of the former roots has signed and
///   whose sequence is higher.
/// - Of newcomers that want the same name, ID or pod addresses all stay out. Who was introduced by one
///   introducer earlier goes before who was introduced by it later, and that introducer before both.
/// - What an introducer has forgotten isn't free for the taking: who uses it is pending.
/// - What was accepted here goes before everything else.
///
/// The value is what must survive a restart: save it (it is `Codable`, and holds no secret) before
/// acting on what a method returned.
public struct MeshRoster: Sendable {
    /// Statements that can't be verified yet.
    public static let waitingMaximum = 256
    static let waitingPerSignerMaximum = 16
    public static let clustersMaximum = 4095

    struct Durable: Hashable, Sendable, Codable {
        var own: SignedAnnouncement
        /// The highest that was used in a statement of this cluster.
        var sequence: UInt64
        var founder: ClusterName?
        var listed: [ClusterName]?
        var claims: [ClusterName: [RosterClaim]] = [:]
        var waiting: [MeshStatement] = []
        /// What others say of this cluster.
        var aboutUs: [ClusterName: SignedAdmission] = [:]
        var lives: [ClusterName: ClusterLife] = [:]
    }

    var durable: Durable
    /// Every other cluster that is known, by name.
    public internal(set) var clusters: [ClusterName: RosterMember] = [:]

    init(durable: Durable) {
        self.durable = durable
        clusters = resolve()
    }

    /// The roster of a cluster that knows no other.
    ///
    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - signers: see ``Signed``.
    public init(
        of description: ClusterDescription, now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) {
        let own = try Signed(
            Announcement(description: description, sequence: now, issuedAt: now), by: signers)
        durable = Durable(own: own, sequence: now)
    }

    /// What this cluster says of itself.
    public var announcement: SignedAnnouncement { durable.own }
    public var description: ClusterDescription { durable.own.content.description }
    public var name: ClusterName { description.name }
    /// Nil until this cluster joins another, or introduces one.
    public var founder: ClusterName? { durable.founder }

    /// Those whose admissions make members here: this cluster, and those that are listed, by default
    /// the mesh's founder.
    public var introducers: Set<ClusterName> {
        let listed = durable.listed ?? durable.founder.map { [$0] } ?? []
        return Set(listed.filter { !isForgottenHere($0) }).union([name])
    }

    public var members: [RosterMember] {
        clusters.values.filter(\.state.isMember).sorted { $0.name < $1.name }
    }

    /// Bundles of members: what connections are verified with.
    public var bundles: [TrustBundle] { members.map(\.bundle) }

    /// What this cluster publishes in its ledger: its announcement and its admissions.
    public var published: [MeshStatement] {
        [.announcement(durable.own)]
            + sortedClaims.compactMap { $0.admissions[name] }.map { .admission($0) }
    }

    /// Everything verified that a newcomer needs to see what this roster sees.
    public var statements: [MeshStatement] {
        published
            + sortedClaims.flatMap { claim in
                (claim.history + [claim.announcement]).map { MeshStatement.announcement($0) }
                    + claim.admissions.filter { $0.key != name }.sorted { $0.key < $1.key }
                    .map { .admission($0.value) }
            }
    }

    /// Others' admissions of this cluster.
    public var admissionsOfThis: [SignedAdmission] {
        durable.aboutUs.sorted { $0.key < $1.key }.map(\.value)
    }

    public var waiting: [MeshStatement] { durable.waiting }

    var sortedClaims: [RosterClaim] {
        durable.claims.sorted { $0.key < $1.key }.flatMap(\.value)
    }

    func isForgottenHere(_ name: ClusterName) -> Bool {
        guard let claims = durable.claims[name], !claims.isEmpty else { return false }
        return claims.allSatisfy(\.isForgottenHere)
    }

    /// Never lower than the clock, so that a cluster whose roster was lost isn't taken for a replay.
    mutating func nextSequence(now: UInt64) -> UInt64 {
        durable.sequence = max(durable.sequence + 1, now)
        return durable.sequence
    }

    /// Derives the states anew and says what has changed.
    mutating func update() -> [RosterEvent] {
        let before = clusters
        clusters = resolve()
        followLives()
        return clusters.keys.sorted().flatMap { name in
            clusters[name].map { Self.changes(from: before[name], to: $0) } ?? []
        }
    }

    private static func changes(
        from old: RosterMember?, to new: RosterMember
    ) -> [RosterEvent] {
        var events: [RosterEvent] = []
        if old?.state != new.state {
            switch new.state {
            case .member: events.append(.joined(new.name, introducers: new.introducers))
            case .pending(let reason): events.append(.pending(new.name, reason))
            case .conflicted(let conflict): events.append(.conflicted(new.name, conflict))
            case .left: events.append(.left(new.name))
            case .forgotten(let by): events.append(.forgotten(new.name, by: by))
            }
        }
        if let old, new.state.isMember {
            if old.description.pins != new.description.pins {
                events.append(.rootsChanged(new.name, new.description.pins))
            }
            if old.description.addresses != new.description.addresses {
                events.append(.addressesChanged(new.name, new.description.addresses))
            }
            if old.state.isMember, old.charter != new.charter {
                events.append(.charterChanged(new.name))
            }
        }
        if new.state.isMember, new.growth != nil, old?.growth != new.growth {
            events.append(.growthWaits(new.name))
        }
        return events
    }
}

extension MeshRoster: Hashable {
    public static func == (left: MeshRoster, right: MeshRoster) -> Bool {
        left.durable == right.durable
    }
    public func hash(into hasher: inout Hasher) { hasher.combine(durable) }
}

extension MeshRoster: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(durable: try Durable(from: decoder))
    }
    public func encode(to encoder: any Encoder) throws { try durable.encode(to: encoder) }
}

extension MeshStatement: Codable {
    public init(from decoder: any Decoder) throws {
        let data = try decoder.singleValueContainer().decode(Data.self)
        try self.init(encoded: Array(data))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(encoded))
    }
}
