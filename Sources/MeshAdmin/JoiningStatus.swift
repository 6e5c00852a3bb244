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
}
