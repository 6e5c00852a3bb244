// SPDX-License-Identifier: Apache-2.0

/// Why a statement of an authority was not accepted. What was held stays in force.
public enum StatementRefusal: Error, Hashable, Sendable {
    /// It can't be read, or says what such a statement must not say.
    case malformed(String)
    /// No bundle of that domain is held: it must be admitted first.
    case foreignTrustDomain(String)
    /// No authority below the anchors held signed it, or one that is denied.
    case notSigned(domain: String, reason: String)
    /// An older one than the one held. Harmless: a late message, or an attempt to go back.
    case stale(domain: String, sequence: UInt64, held: UInt64)
    /// An authority signed two different statements with one sequence: its key is in two hands, or
    /// its state was put back to an older one. An alarm.
    case conflicting(domain: String, sequence: UInt64)

    /// Whether an operator must hear of it at once.
    public var isAlarm: Bool { if case .conflicting = self { true } else { false } }
}

extension StatementRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let reason):
            "the statement is malformed: \(reason)"
        case .foreignTrustDomain(let domain):
            "trust domain \(domain) is unknown here: join it first"
        case .notSigned(let domain, let reason):
            "no authority of \(domain) that is trusted here signed the statement: \(reason)"
        case .stale(let domain, let sequence, let held):
            "statement \(sequence) of \(domain) is older than \(held), which is held"
        case .conflicting(let domain, let sequence):
            "\(domain) signed two different statements with sequence \(sequence): its key is used in "
                + "two places, or its state was restored from an old copy; ask its operator, and deny "
                + "the authority if nobody knows"
        }
    }
}
