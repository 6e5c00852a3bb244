// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust

/// Takes a cluster's decisions about who belongs to the mesh, at its home: what it decides is durable
/// before anybody hears of it.
///
/// Without sockets and clocks. Whatever a method throws, roster and tokens are as they were, here and
/// on disk, but for a token that is reserved for whoever tried.
struct JoinDesk: Sendable {
    /// Gets each decision once it is durable, and each refusal.
    typealias Audit = @Sendable (AuditEntry) -> Void

    private(set) var roster: MeshRoster
    private(set) var book: TokenBook
    var limiter = TryLimiter()
    let store: any JoinStore
    let authority: @Sendable () -> CertificateAuthority
    let audit: Audit

    /// Takes up what the store holds; a roster is made, and saved, if it holds none.
    ///
    /// - Parameters:
    ///   - describe: what the cluster says of itself, given what it said before.
    ///   - now: seconds since 1970.
    /// - Throws: ``TrustError``, for a file that is damaged: who is a member isn't known.
    init(
        store: any JoinStore, authority: @escaping @Sendable () -> CertificateAuthority,
        audit: @escaping Audit, now: UInt64,
        describe: (ClusterDescription?) throws(TrustError) -> ClusterDescription
    ) throws(TrustError) {
        self.store = store
        self.authority = authority
        self.audit = audit
        book = try store.loadBook() ?? TokenBook()
        if let kept = try store.loadRoster() {
            roster = kept
        } else {
            roster = try MeshRoster(
                of: describe(nil), now: now, signers: [authority().signer])
            try store.save(roster)
        }
    }

    /// While a root changes, one below the other root, too: whoever knows only that one can follow.
    ///
    /// - Throws: ``TrustError`` when a key that should be in the authority's folder can't be read.
    var signers: [StatementSigner] {
        get throws(TrustError) {
            let authority = authority()
            return [authority, try authority.predecessor(), try authority.successor()]
                .compactMap { $0?.signer }
        }
    }

    mutating func keep(_ roster: MeshRoster) throws(TrustError) {
        guard roster != self.roster else { return }
        try store.save(roster)
        self.roster = roster
    }

    mutating func keep(_ book: TokenBook) throws(TrustError) {
        guard book != self.book else { return }
        try store.save(book)
        self.book = book
    }

    /// Of ``records(held:required:)``.
    static let kinds: Set<RecordKind> = [.statement, .peer, .authority]

    /// What the cluster's ledger shall say.
    ///
    /// - Parameters:
    ///   - held: sequences of other clusters' announcements whose roots all nodes have in force.
    ///   - required: see ``AuthorityRecord/required``.
    /// - Throws: never for a roster that was read or made.
    func records(
        held: [ClusterName: UInt64] = [:], required: [UInt8] = []
    ) throws(TrustError) -> [RecordKey: [UInt8]] {
        var records: [RecordKey: [UInt8]] = [:]
        func add(_ record: some LedgerRecord) { records[record.key] = record.encoded }
        for statement in roster.published {
            let name =
                switch statement {
                case .announcement: StatementName.announcement
                case .admission: StatementName.admission(of: statement.subject)
                }
            add(StatementRecord(name: name, body: statement.encoded))
        }
        for (names, sequences) in [(StatementName.seen, roster.heard), (StatementName.held, held)] {
            for (cluster, sequence) in sequences {
                var writer = ByteWriter()
                writer.write(sequence)
                add(StatementRecord(name: names(cluster), body: writer.bytes))
            }
        }
        let authority = authority()
        // Roots among which its own isn't are none to give to nodes: somebody replaced it by hand.
        if roster.description.bundle.anchors.contains(authority.chain[1]) {
            add(
                AuthorityRecord(
                    bundle: try roster.description.bundle.pem(),
                    root: authority.authorityKey(.root).bytes, required: required))
        }
        for peer in try roster.peers() {
            add(PeerRecord(name: peer.description.name.rawValue, body: try peer.encoded()))
        }
        return records
    }
}

/// Names of ``StatementRecord``s.
enum StatementName {
    static let announcement = "announcement"
    static func admission(of cluster: ClusterName) -> String { "admission/\(cluster)" }
    /// Its body is the sequence of the newest announcement of that cluster that was taken, 8 bytes.
    static func seen(_ cluster: ClusterName) -> String { "seen/\(cluster)" }

    /// Its body is the sequence of an announcement of that cluster whose roots are in force at every
    /// live node, 8 bytes.
    static func held(_ cluster: ClusterName) -> String { "held/\(cluster)" }

    static func isReceipt(_ name: String) -> Bool {
        name.utf8.starts(with: "seen/".utf8) || name.utf8.starts(with: "held/".utf8)
    }
}
