// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshModel
public import X509

public enum AuditAction: String, Hashable, Sendable, Codable, CaseIterable {
    /// A certificate was issued or refused.
    case issue
    case tokenMade = "token-made"
    case tokenUsed = "token-used"
    case tokenRevoked = "token-revoked"
    /// A cluster joined, left, was accepted or was forgotten by the operator.
    case join
    case leave
    case accept
    case forget
    /// Whose word about newcomers counts was decided.
    case introducers
    /// A peer's bundle was accepted or refused.
    case bundle
    case rotate
    /// A deny list was changed, accepted or refused.
    case deny
    /// A session was ended or refused because of a denial.
    case disconnect
    /// What the log found out about itself.
    case log
}

public enum AuditDecision: String, Hashable, Sendable, Codable {
    case granted
    case refused
    /// Nobody asked: it happened.
    case noted
}

/// Who asked.
public enum AuditActor: Hashable, Sendable {
    case agent
    /// A user of this machine, by its number.
    case user(UInt32)
    case node(SPIFFEID)
    case cluster(ClusterName)
    /// Somebody at an address, who proved nothing.
    case stranger(Address)

    var text: String {
        switch self {
        case .agent: "agent"
        case .user(let number): "user:\(number)"
        case .node(let id): id.uri
        case .cluster(let name): "cluster:\(name)"
        case .stranger(let address): "stranger:\(address)"
        }
    }
}

/// Whom or what it was about.
public enum AuditSubject: Hashable, Sendable {
    case identity(SPIFFEID)
    case cluster(ClusterName)

    var text: String {
        switch self {
        case .identity(let id): id.uri
        case .cluster(let name): "cluster:\(name)"
        }
    }
}

/// What is to be recorded. Made of types that hold no secrets, so that none can get into the log.
public struct AuditEntry: Sendable {
    public var actor: AuditActor
    public var action: AuditAction
    public var decision: AuditDecision
    public var subject: AuditSubject?
    /// Its serial number, key identifier and end are recorded.
    public var certificate: Certificate?
    public var reason: AuditReason?

    public init(
        _ action: AuditAction, _ decision: AuditDecision, by actor: AuditActor,
        subject: AuditSubject? = nil, certificate: Certificate? = nil, reason: AuditReason? = nil
    ) {
        self.actor = actor
        self.action = action
        self.decision = decision
        self.subject = subject
        self.certificate = certificate
        self.reason = reason
    }
}

/// A record as it stands in the log.
public struct AuditRecord: Hashable, Sendable, Codable {
    /// 1 for the first of the log, then one more each.
    public let sequence: UInt64
    /// Whole seconds.
    public let time: Date
    public let actor: String
    public let action: AuditAction
    public let decision: AuditDecision
    /// A SPIFFE ID, or `cluster:` and a name.
    public let subject: String?
    /// Hexadecimal.
    public let serial: String?
    /// The subject key identifier in hexadecimal.
    public let keyIdentifier: String?
    public let notAfter: Date?
    public let reason: String?

    init(_ entry: AuditEntry, sequence: UInt64, time: Date) {
        self.sequence = sequence
        self.time = time
        actor = entry.actor.text
        action = entry.action
        decision = entry.decision
        subject = entry.subject?.text
        serial = entry.certificate.map { hexadecimal($0.serialNumber.bytes) }
        keyIdentifier = entry.certificate.map(keyIdentifierText)
        notAfter = entry.certificate?.notValidAfter
        reason = entry.reason?.text
    }
}
