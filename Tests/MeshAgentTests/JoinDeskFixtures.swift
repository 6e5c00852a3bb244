// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import Synchronization
import Testing

@testable import MeshAgent
@testable import MeshTrust

/// Files that fail when they are told to: before a write, or right behind it.
final class FaultyFiles: JoinStore {
    struct Crash: Error {}

    let files: JoinFiles
    /// Writes until the crash, and whether that one is on disk.
    private let fault = Mutex<(left: Int, isWritten: Bool)?>(nil)

    init(folder: String) { files = JoinFiles(folder: folder) }

    func crash(after writes: Int, isWritten: Bool) {
        fault.withLock { $0 = (writes, isWritten) }
    }
    func mend() { fault.withLock { $0 = nil } }

    func loadRoster() throws(TrustError) -> MeshRoster? { try files.loadRoster() }
    func loadBook() throws(TrustError) -> TokenBook? { try files.loadBook() }

    func save(_ roster: MeshRoster) throws(TrustError) {
        try write { () throws(TrustError) in try files.save(roster) }
    }
    func save(_ book: TokenBook) throws(TrustError) {
        try write { () throws(TrustError) in try files.save(book) }
    }

    private func write(_ body: () throws(TrustError) -> Void) throws(TrustError) {
        let dying: Bool? = fault.withLock { fault in
            guard let now = fault else { return nil }
            fault?.left -= 1
            return now.left == 0 ? now.isWritten : nil
        }
        if dying != false { try body() }
        if dying != nil { throw .file(operation: "write", path: files.folder, errno: 5) }
    }
}

/// A cluster's home with its files; ``restart()`` is what a kill leaves.
struct Home {
    static let leaf: [UInt8] = [1, 2, 3]

    let folder: TemporaryFolder
    let store: FaultyFiles
    let id: UInt16
    let authority: CertificateAuthority
    var desk: JoinDesk
    let audited: Audited

    final class Audited: Sendable {
        let entries = Mutex<[AuditEntry]>([])
        var actions: [AuditAction] { entries.withLock { $0.map(\.action) } }
    }

    init(_ name: String, _ id: UInt16, pods: String? = nil) throws {
        folder = try TemporaryFolder()
        self.id = id
        authority = try CertificateAuthority.create(
            cluster: ClusterName(rawValue: name)!, mesh: "example",
            in: folder.path + "/authority")
        store = FaultyFiles(folder: folder.path + "/authority")
        audited = Audited()
        desk = try Self.open(store, authority, id, pods, audited)
    }

    private static func open(
        _ store: FaultyFiles, _ authority: CertificateAuthority, _ id: UInt16, _ pods: String?,
        _ audited: Audited
    ) throws -> JoinDesk {
        try JoinDesk(
            store: store, authority: { authority },
            audit: { entry in audited.entries.withLock { $0.append(entry) } }, now: unixSeconds(),
            describe: { _ throws(TrustError) in
                try ClusterDescription(
                    id: cluster(id), bundle: authority.bundle,
                    addresses: [ClusterAddress("192.0.2.\(id):4790")!],
                    charter: ClusterCharter(podPrefixes: [Prefix(pods ?? "10.\(id).0.0/16")!])!)
            })
    }

    /// `kill -9`, then a start.
    mutating func restart() throws {
        store.mend()
        desk = try Self.open(store, authority, id, nil, audited)
    }

    var name: ClusterName { desk.roster.name }
    var members: [String] { desk.roster.members.map(\.name.rawValue) }

    mutating func token(for other: Home) throws -> JoinToken {
        try desk.makeToken(
            for: other.desk.roster.description.subject, lifetimeSeconds: 60, by: .agent,
            now: unixSeconds())
    }

    /// What its ledger tells others.
    func statements() throws -> [MeshStatement] {
        try desk.records().filter {
            $0.key.kind == .statement && !StatementName.isReceipt($0.key.name)
        }
        .sorted { $0.key < $1.key }
        .map { try MeshStatement(encoded: StatementRecord(encoded: $0.value).body) }
    }

    /// How far it has read `other`.
    func heard(of other: Home) throws -> UInt64 {
        let key = RecordKey(kind: .statement, name: StatementName.seen(other.name))
        guard let value = try desk.records()[key] else { return 0 }
        var reader = ByteReader(try StatementRecord(encoded: value).body)
        return try reader.read()
    }

    /// Everything but the sockets; limits on tries don't count here.
    @discardableResult
    mutating func join(
        _ other: inout Home, with token: JoinToken, beside filed: [FiledCluster] = [],
        at time: UInt64? = nil, there: UInt64? = nil
    ) throws -> JoinOutcome {
        other.desk.limiter = TryLimiter()
        let now = time ?? unixSeconds()
        var joiner = try desk.begin(token, now: now)
        let question = try joiner.request(
            channel: JoinChannel(serverCertificate: Home.leaf), nonce: JoinExchange.nonce(),
            now: now)
        let answer = other.desk.answer(
            question, presenting: Home.leaf, to: Address("192.0.2.9")!, clock: 1,
            now: there ?? now, beside: { filed })
        return try desk.complete(joiner, with: answer.bytes, by: .agent, now: now)
    }
}
