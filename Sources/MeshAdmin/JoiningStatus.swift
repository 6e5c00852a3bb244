// SPDX-License-Identifier: Apache-2.0

/// A cluster as the roster of this node's home has it; part of ``ClusterStatus`` there.
public struct RosterStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        case member, pending, conflicted, left, forgotten
    }

    public var state: State
    /// Why it is no member.
    public var reason: String?
    /// The beginnings of its roots' pins.
    public var roots: [String]
    /// Whose admission makes it a member.
    public var introducers: [String]
    public var isAcceptedHere: Bool
    /// Whether it asks for a larger charter than it was granted.
    public var asksForMore: Bool
    /// The sequence of this cluster's announcement that it has; nil: it hasn't said.
    public var heard: UInt64?

    public init(
        state: State, reason: String?, roots: [String], introducers: [String],
        isAcceptedHere: Bool, asksForMore: Bool, heard: UInt64?
    ) {
        self.state = state
        self.reason = reason
        self.roots = roots
        self.introducers = introducers
        self.isAcceptedHere = isAcceptedHere
        self.asksForMore = asksForMore
        self.heard = heard
    }
}

/// `POST /v1/join/tokens`: for a cluster, by name and ID, or for a node of the own one.
public struct TokenRequest: Codable, Hashable, Sendable {
    public var cluster: String?
    public var id: UInt16?
    public var node: String?
    /// An hour if nil.
    public var lifetimeSeconds: UInt64?

    public init(
        cluster: String? = nil, id: UInt16? = nil, node: String? = nil,
        lifetimeSeconds: UInt64? = nil
    ) {
        self.cluster = cluster
        self.id = id
        self.node = node
        self.lifetimeSeconds = lifetimeSeconds
    }
}

/// Secret: whoever has it may join in the subject's name.
public struct TokenAnswer: Codable, Hashable, Sendable {
    /// `TOKEN@address`.
    public var target: String
    public var subject: String
    public var expiresUnixSeconds: UInt64

    public init(target: String, subject: String, expiresUnixSeconds: UInt64) {
        self.target = target
        self.subject = subject
        self.expiresUnixSeconds = expiresUnixSeconds
    }
}

/// `POST /v1/join`.
public struct JoinRequestBody: Codable, Hashable, Sendable {
    /// `TOKEN@address`.
    public var target: String

    public init(target: String) { self.target = target }
}

public struct JoinAnswer: Codable, Hashable, Sendable {
    public var introducer: String
    /// How far its clock is ahead of this one.
    public var clockSeconds: Int64
    public var isClockAlarming: Bool
    /// Whether it was a member here before.
    public var isRepeated: Bool
    /// Every other one, the introducer included.
    public var members: [String]
    /// What else an operator should know.
    public var notes: [String]

    public init(
        introducer: String, clockSeconds: Int64, isClockAlarming: Bool, isRepeated: Bool,
        members: [String], notes: [String]
    ) {
        self.introducer = introducer
        self.clockSeconds = clockSeconds
        self.isClockAlarming = isClockAlarming
        self.isRepeated = isRepeated
        self.members = members
        self.notes = notes
    }
}

/// `POST /v1/leave`.
public struct LeaveRequest: Codable, Hashable, Sendable {
    /// Whether to end now, whoever hasn't heard of it.
    public var force: Bool

    public init(force: Bool) { self.force = force }
}

/// How far a leave has come: ask again while somebody is awaited.
public struct LeaveAnswer: Codable, Hashable, Sendable {
    /// Members that haven't said yet that they know.
    public var awaited: [String]

    public init(awaited: [String]) { self.awaited = awaited }
}

/// `POST /v1/roster/CLUSTER/accept`.
public struct AcceptRequest: Codable, Hashable, Sendable {
    /// The beginning of a root's pin, if several clusters want the name.
    public var root: String?

    public init(root: String?) { self.root = root }
}

/// Whose word about newcomers counts here: `GET /v1/introducers`.
public struct IntroducersStatus: Codable, Hashable, Sendable {
    /// This cluster among them.
    public var names: [String]
    /// Who began the mesh; nil before this cluster knows another.
    public var founder: String?
    /// Whether they were chosen here; else it is the founder.
    public var areChosen: Bool

    public init(names: [String], founder: String?, areChosen: Bool) {
        self.names = names
        self.founder = founder
        self.areChosen = areChosen
    }
}

/// `POST /v1/introducers`.
public struct IntroducersRequest: Codable, Hashable, Sendable {
    /// Besides this cluster itself; nil: the founder.
    public var names: [String]?

    public init(names: [String]?) { self.names = names }
}

/// A token that was made here: `GET /v1/join/tokens`. Nothing in it is secret.
public struct TokenStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        /// Nobody has shown it yet.
        case open
        /// Somebody has, and may repeat an interrupted join; nobody else can use it.
        case reserved
        case used
        /// Without having been used.
        case expired
    }

    /// 16 hexadecimal digits, as records of the audit log have them.
    public var id: String
    public var subject: String
    public var state: State
    /// The beginning of the key's pin that showed it.
    public var holder: String?
    public var issuedUnixSeconds: UInt64
    public var expiresUnixSeconds: UInt64

    public init(
        id: String, subject: String, state: State, holder: String?, issuedUnixSeconds: UInt64,
        expiresUnixSeconds: UInt64
    ) {
        self.id = id
        self.subject = subject
        self.state = state
        self.holder = holder
        self.issuedUnixSeconds = issuedUnixSeconds
        self.expiresUnixSeconds = expiresUnixSeconds
    }
}

/// What a decision about a cluster changed, a sentence each.
public struct RosterAnswer: Codable, Hashable, Sendable {
    public var events: [String]

    public init(events: [String]) { self.events = events }
}

/// Who belongs to the mesh, as the admin server sees it. On a node that isn't its cluster's home every
/// method is a fault that names the home.
public protocol JoiningProvider: Sendable {
    func makeToken(_ request: TokenRequest) async throws -> TokenAnswer
    func join(_ request: JoinRequestBody) async throws -> JoinAnswer
    /// Begins to leave, or says how far that has come.
    func leave(_ request: LeaveRequest) async throws -> LeaveAnswer
    func accept(cluster: String, _ request: AcceptRequest) async throws -> RosterAnswer
    func forget(cluster: String) async throws -> RosterAnswer
    func introducers() async throws -> IntroducersStatus
    func setIntroducers(_ request: IntroducersRequest) async throws -> RosterAnswer
    /// In the order of their ends, until a day after.
    func tokens() async throws -> [TokenStatus]
    /// The token as it was; a fault if there is none.
    func revoke(token id: String) async throws -> TokenStatus
}
