// SPDX-License-Identifier: Apache-2.0

public import X509

/// The newest accepted bundle of every trust domain, as its authority signed it.
///
/// A domain gets in by ``admit(_:isAdmitted:denials:judge:)``. From then on its roots change only by a statement
/// with a higher sequence that an authority below the roots *held* signed, so neither a thief of an
/// old statement nor the newcomer itself can replace them.
public struct BundleBook: Hashable, Sendable {
    private struct Held: Hashable, Sendable {
        var sealed: SealedStatement
        var statement: BundleStatement
        /// Nil when the domain has revoked itself.
        var bundle: TrustBundle?
    }

    public let mesh: String
    private var held: [String: Held] = [:]

    public init(mesh: String) { self.mesh = mesh }

    /// Accepts the first bundle of a domain: the admission says which root keys it has.
    ///
    /// A domain that has revoked itself may be admitted again, with a higher sequence.
    ///
    /// - Parameters:
    ///   - isAdmitted: whether the admission names this root's key. The bundle must hold such a root
    ///     and be signed below it.
    ///   - denials: those in force; a denied authority's word doesn't count.
    /// - Throws: ``StatementRefusal``: nothing changed.
    public mutating func admit(
        _ sealed: SealedStatement, isAdmitted: (Certificate) -> Bool, denials: DenyBook,
        judge: StatementJudge
    ) throws(StatementRefusal) -> BundleChange {
        let statement = try BundleStatement(body: sealed.body, mesh: mesh)
        let domain = statement.trustDomain
        let former = held[domain.name]
        if former?.bundle != nil { throw .alreadyKnown(domain.name) }
        try checkOrder(of: statement, after: former)
        let admitted = BundleDocument(
            sequence: statement.document.sequence,
            roots: statement.document.roots.filter(isAdmitted))
        guard let bundle = try admitted.bundle(of: domain) else {
            throw .notSigned(domain: domain.name, reason: "it lacks the root of the admission")
        }
        try sealed.check(by: bundle, denials: denials, judge: judge)
        try checkConflict(of: statement, with: former)
        return try keep(sealed, statement)
    }

    /// Accepts a later bundle of a domain held.
    ///
    /// - Returns: what changed; nil for the statement held.
    /// - Throws: ``StatementRefusal``: the bundle held stays in force.
    public mutating func receive(
        _ sealed: SealedStatement, denials: DenyBook, judge: StatementJudge
    ) throws(StatementRefusal) -> BundleChange? {
        let statement = try BundleStatement(body: sealed.body, mesh: mesh)
        let domain = statement.trustDomain
        guard let former = held[domain.name] else { throw .foreignTrustDomain(domain.name) }
        if statement.body == former.statement.body { return nil }
        try checkOrder(of: statement, after: former)
        // Revoked: nobody is left who could sign.
        guard let bundle = former.bundle else { throw .foreignTrustDomain(domain.name) }
        try sealed.check(by: bundle, denials: denials, judge: judge)
        try checkConflict(of: statement, with: former)
        return try keep(sealed, statement)
    }

    /// The operator's decision: nothing of the domain is remembered, not even its sequence.
    public mutating func forget(_ domain: TrustDomain) { held[domain.name] = nil }

    /// 0 for a domain that isn't held: what a peer is told has been accepted.
    public func sequence(of domain: TrustDomain) -> UInt64 {
        held[domain.name]?.statement.document.sequence ?? 0
    }

    /// As signed, to be passed on.
    public func statement(of domain: TrustDomain) -> SealedStatement? { held[domain.name]?.sealed }

    public func document(of domain: TrustDomain) -> BundleDocument? {
        held[domain.name]?.statement.document
    }

    /// Every domain held, also revoked ones, in order.
    public var trustDomains: [TrustDomain] { held.values.map(\.statement.trustDomain).sorted() }

    /// What verifiers use: revoked domains are absent, so that their peers are refused.
    public var store: TrustStore { TrustStore(held.values.compactMap(\.bundle)) }

    private func checkOrder(
        of statement: BundleStatement, after former: Held?
    ) throws(StatementRefusal) {
        guard let last = former?.statement.document.sequence,
            statement.document.sequence < last
        else { return }
        throw .stale(
            domain: statement.trustDomain.name, sequence: statement.document.sequence, held: last)
    }

    /// Last of all: anybody can make a statement with a sequence, but it takes the key to conflict.
    private func checkConflict(
        of statement: BundleStatement, with former: Held?
    ) throws(StatementRefusal) {
        let sequence = statement.document.sequence
        guard sequence == former?.statement.document.sequence else { return }
        throw .conflicting(domain: statement.trustDomain.name, sequence: sequence)
    }

    private mutating func keep(
        _ sealed: SealedStatement, _ statement: BundleStatement
    ) throws(StatementRefusal) -> BundleChange {
        let domain = statement.trustDomain
        let change = BundleChange(from: held[domain.name]?.statement.document, to: statement)
        held[domain.name] = Held(
            sealed: sealed, statement: statement, bundle: try statement.document.bundle(of: domain))
        return change
    }
}

extension BundleBook: Codable {
    private enum CodingKeys: CodingKey { case mesh, bundles }

    /// Reads what was accepted once; whoever can change the file is trusted.
    ///
    /// - Throws: `DecodingError` or ``StatementRefusal`` if any part is damaged: nothing is guessed.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(mesh: try values.decode(String.self, forKey: .mesh))
        for sealed in try values.decode([SealedStatement].self, forKey: .bundles) {
            _ = try keep(sealed, BundleStatement(body: sealed.body, mesh: mesh))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(mesh, forKey: .mesh)
        try values.encode(trustDomains.compactMap { statement(of: $0) }, forKey: .bundles)
    }
}
