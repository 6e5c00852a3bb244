// SPDX-License-Identifier: Apache-2.0

/// The replacement of the own authority's root or intermediate that was begun last:
/// `GET /v1/ca/rotation`.
public struct RotationStatus: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        case root, intermediate
    }

    public var kind: Kind
    /// `preparing`, `published`, `acknowledged`, `active`, `retiring`, `removed`, `aborting` or
    /// `aborted`.
    public var phase: String
    /// Where it stands, in words.
    public var sentence: String
    /// Clusters that don't hold the new root yet.
    public var waitingFor: [String]
    /// Own nodes that still use the former key's certificates.
    public var laggards: [String]
    /// Why it can't go on.
    public var obstacle: String?

    public init(
        kind: Kind, phase: String, sentence: String, waitingFor: [String], laggards: [String],
        obstacle: String?
    ) {
        self.kind = kind
        self.phase = phase
        self.sentence = sentence
        self.waitingFor = waitingFor
        self.laggards = laggards
        self.obstacle = obstacle
    }

    public var isOver: Bool { ["removed", "aborted"].contains(phase) }
}

/// `POST /v1/ca/rotation`.
public struct RotationRequest: Codable, Hashable, Sendable {
    public enum Wish: String, Codable, Sendable {
        case begin
        /// Without those that don't hold the new root yet.
        case force
        case abort
    }

    public var wish: Wish
    /// What to replace; of ``Wish/begin`` alone.
    public var kind: RotationStatus.Kind?

    public init(_ wish: Wish, _ kind: RotationStatus.Kind? = nil) {
        self.wish = wish
        self.kind = kind
    }
}

/// What a wish came to.
public struct RotationAnswer: Codable, Hashable, Sendable {
    public var status: RotationStatus
    /// Clusters that can't verify this one until they hold its new root.
    public var broken: [String]

    public init(status: RotationStatus, broken: [String]) {
        self.status = status
        self.broken = broken
    }
}

/// The part of the agent that replaces the authority's keys, as the admin server sees it.
public protocol RotationProvider: Sendable {
    /// The last one; `notFound` if none was begun.
    func rotationStatus() async throws -> RotationStatus
    /// On the home only; elsewhere `conflict`, which names it.
    func rotate(_ request: RotationRequest) async throws -> RotationAnswer
    /// The own cluster's roots in the format of SPIFFE.
    func spiffeBundle() async throws -> [UInt8]
}
