// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import MeshModel
public import X509

/// Every deny list in force: one of each cluster, about its own certificates, and the local one, about
/// any.
public struct DenyBook: Hashable, Sendable {
    public static let localEntriesMaximum = 4096

    private struct Held: Hashable, Sendable {
        var sealed: SealedStatement
        var list: DenyList
        var index: DenyIndex
    }

    public let mesh: String
    private var held: [String: Held] = [:]
    private var local = DenyIndex()
    /// Which life of a cluster its list is of, by trust domain; 0 for those that aren't named.
    private var lives: [String: UInt64] = [:]

    public init(mesh: String) { self.mesh = mesh }

    /// The first denial that applies to a chain a verifier accepted, nil if none does.
    ///
    /// Of the clusters' lists only that of the chain's own trust domain is asked: no cluster can deny
    /// another's certificates for everybody, whatever its list says.
    ///
    /// - Parameter chain: the peer's certificate first, the anchor last.
    /// - Complexity: about five hash look-ups a certificate and list, two lists.
    public func denial(of chain: [Certificate]) -> Denial? {
        guard let leaf = chain.first else { return nil }
        if !local.isEmpty, let entry = local.entry(denying: chain) {
            return Denial(owner: nil, entry: entry)
        }
        guard let domain = CertificateNames(leaf).spiffeID?.trustDomain, let held = held[domain],
            let entry = held.index.entry(denying: chain)
        else { return nil }
        return Denial(owner: held.list.owner, entry: entry)
    }

    /// Accepts a cluster's list if it is newer than the one held and an authority of the cluster that
    /// isn't denied itself signed it.
    ///
    /// - Returns: the list now in force; nil if it was before. Judge open sessions again.
    /// - Throws: ``StatementRefusal``: the list held stays in force.
    public mutating func receive(
        _ sealed: SealedStatement, bundles: TrustStore, judge: StatementJudge, now: Date
    ) throws(StatementRefusal) -> DenyList? {
        let list = try DenyList(body: sealed.body, mesh: mesh)
        let domain = list.owner.name
        let former = held[domain]?.list
        if let former {
            if former.body == list.body { return nil }
            guard list.sequence >= former.sequence else {
                throw .stale(domain: domain, sequence: list.sequence, held: former.sequence)
            }
        }
        guard let bundle = bundles[domain] else { throw .foreignTrustDomain(domain) }
        try sealed.check(by: bundle, denials: self, judge: judge)
        if list.sequence == former?.sequence {
            throw .conflicting(domain: domain, sequence: list.sequence)
        }
        keep(sealed, list, now: now)
        return list
    }

    /// An operator's denial, for this cluster alone; it replaces one of the same subject.
    ///
    /// - Throws: ``StatementRefusal/malformed(_:)`` when the local list is full.
    public mutating func denyLocally(_ entry: DenyEntry) throws(StatementRefusal) {
        _ = local.remove(entry.subject)
        guard local.endings.count < Self.localEntriesMaximum else {
            throw .malformed(
                "the local deny list has \(Self.localEntriesMaximum) entries already: "
                    + "deny an authority instead of its certificates")
        }
        local.insert(entry)
    }

    /// - Returns: the denial lifted, nil if there was none.
    public mutating func allowLocally(_ subject: DenySubject) -> DenyEntry? {
        local.remove(subject)
    }

    /// The name stands for another cluster, or for one that was forgotten, since `life` rose: of the
    /// former list not even its sequence is remembered. See ``RosterPeer/life``.
    ///
    /// - Returns: whether something was forgotten.
    public mutating func begin(life: UInt64, of owner: TrustDomain) -> Bool {
        guard life > lives[owner.name] ?? 0 else { return false }
        lives[owner.name] = life
        return held.removeValue(forKey: owner.name) != nil
    }

    /// Lets entries drop off whose subject has expired. A cluster's list stays as it was signed.
    ///
    /// - Returns: when to call it again; nil when nothing ends.
    public mutating func expire(now: Date) -> Date? {
        for (domain, entry) in held { held[domain]?.index = Self.index(entry.list, now: now) }
        local = DenyIndex(local.sorted.filter { $0.until > now })
        return (held.values.flatMap { Array($0.index.endings) } + local.endings).min()
    }

    /// 0 for a cluster that denied nothing yet.
    public func sequence(of owner: TrustDomain) -> UInt64 { held[owner.name]?.list.sequence ?? 0 }

    public func list(of owner: TrustDomain) -> DenyList? { held[owner.name]?.list }

    /// As signed, to be passed on.
    public func statement(of owner: TrustDomain) -> SealedStatement? { held[owner.name]?.sealed }

    /// Who has a list, in order.
    public var owners: [TrustDomain] { held.values.map(\.list.owner).sorted() }

    public var localEntries: [DenyEntry] { local.sorted }

    private static func index(_ list: DenyList, now: Date) -> DenyIndex {
        DenyIndex(list.entries.filter { $0.until > now })
    }

    private mutating func keep(_ sealed: SealedStatement, _ list: DenyList, now: Date) {
        held[list.owner.name] = Held(
            sealed: sealed, list: list, index: Self.index(list, now: now))
    }
}

extension DenyBook: Codable {
    private enum CodingKeys: CodingKey { case mesh, lists, lives, local }

    /// Everything in force again, as it was; call ``expire(now:)`` next.
    ///
    /// - Throws: `DecodingError`, ``StatementRefusal`` or `DecodingFault` if any part is damaged: no
    ///   denial is lost silently.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(mesh: try values.decode(String.self, forKey: .mesh))
        for sealed in try values.decode([SealedStatement].self, forKey: .lists) {
            keep(sealed, try DenyList(body: sealed.body, mesh: mesh), now: .distantPast)
        }
        lives = try values.decode([String: UInt64].self, forKey: .lives)
        var reader = ByteReader(try values.decodeBase64(.local))
        let entries = try reader.readList(max: Self.localEntriesMaximum, "local denials") {
            (reader: inout ByteReader) throws(DecodingFault) in try DenyEntry(from: &reader)
        }
        try reader.finish()
        local = DenyIndex(entries)
    }

    public func encode(to encoder: any Encoder) throws {
        var writer = ByteWriter()
        writer.write(list: local.sorted) { $1.encode(into: &$0) }
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(mesh, forKey: .mesh)
        try values.encode(owners.compactMap { statement(of: $0) }, forKey: .lists)
        try values.encode(lives, forKey: .lives)
        try values.encode(base64(writer.bytes), forKey: .local)
    }
}
