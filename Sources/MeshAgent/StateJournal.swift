// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshJournal
import MeshModel
import MeshReplication

/// What this node writes down of ledgers, and reads when it starts.
///
/// A node that may publish keeps its own cluster's ledger in a file of its own, where what is written
/// survives a power cut; replicas of others survive the end of the process, and peers know the rest.
final class StateJournal: Sendable {
    /// What was there at the start.
    struct Recovered: Sendable {
        var ledgers: [StoredLedger] = []
        /// How long ago each replica was last known to be its owner's newest state.
        var ages: [ClusterID: Duration] = [:]
        /// Files that were unusable and are set aside: sentences for an operator.
        var damages: [String] = []
    }

    private static let clockNote = "clock"

    private let own: ClusterID
    /// Nil where the own cluster's ledger is a replica as any other.
    private let ledger: JournalWriter?
    private let replicas: JournalWriter

    private init(own: ClusterID, ledger: JournalWriter?, replicas: JournalWriter) {
        self.own = own
        self.ledger = ledger
        self.replicas = replicas
    }

    /// - Parameter mayPublish: whether this node may become its cluster's publisher.
    static func open(
        folder: String, own: ClusterID, mayPublish: Bool, now: Instant, realTime: UInt64
    ) throws -> (StateJournal, Recovered) {
        var recovered = Recovered()
        func open(_ name: String, _ durability: Journal.Durability) throws -> Journal.Opening {
            let opening = try Journal.open("\(folder)/\(name)", durability: durability)
            if case .setAside(let path, let reason) = opening.outcome {
                recovered.damages.append(
                    "\(name) was damaged (\(reason)) and is set aside as \(path); what it held "
                        + "comes back from other nodes")
            }
            return opening
        }
        let ledger = mayPublish ? try open("ledger.db", .full) : nil
        let replicas = try open("replicas.db", .normal)
        // A file may hold what it was meant for before the node's role changed.
        let kept =
            if let ledger {
                ledger.replicas.filter { $0.owner == own }
                    + replicas.replicas.filter { $0.owner != own }
            } else { replicas.replicas }
        recovered.ledgers = kept.map { StoredLedger($0) }
        if let note = replicas.notes[clockNote],
            let clock = try? JSONDecoder().decode(ClockNote.self, from: Data(note))
        {
            recovered.ages = clock.ages(now: now, realTime: realTime)
        }
        let journal = StateJournal(
            own: own, ledger: ledger.map { JournalWriter($0.journal) },
            replicas: JournalWriter(replicas.journal))
        return (journal, recovered)
    }

    private func writer(of owner: ClusterID) -> JournalWriter {
        owner == own ? ledger ?? replicas : replicas
    }

    /// Writes behind: `completion` hears, on another thread, when it is done.
    ///
    /// - Throws: ``JournalError``: it wasn't taken, and nothing of this owner will be before a whole
    ///   checkpoint.
    func append(
        _ owner: ClusterID, _ position: Position, _ message: [UInt8],
        _ completion: @escaping JournalWriter.Completion
    ) throws(JournalError) {
        try writer(of: owner).submit(
            JournalTransaction(
                batches: [JournalBatch(owner: owner, position: position, message: message)]),
            completion)
    }

    func save(
        _ checkpoint: ReplicaCheckpoint, _ completion: @escaping JournalWriter.Completion
    ) throws(JournalError) {
        try writer(of: checkpoint.owner).submit(
            JournalTransaction(
                // A whole one begins anew, whatever was there of the owner.
                removedOwners: checkpoint.isWhole ? [checkpoint.owner] : [],
                checkpoints: [JournalCheckpoint(checkpoint)]), completion)
    }

    func remove(
        _ owner: ClusterID, _ completion: @escaping JournalWriter.Completion
    ) throws(JournalError) {
        try writer(of: owner).submit(JournalTransaction(removedOwners: [owner]), completion)
    }

    /// Notes how fresh every picture is, so that a restarted agent knows how old they have become.
    func note(
        ages: [ClusterID: Duration], now: Instant, realTime: UInt64,
        _ completion: @escaping JournalWriter.Completion
    ) throws(JournalError) {
        let clock = ClockNote(ages: ages, now: now, realTime: realTime)
        guard let bytes = try? JSONEncoder().encode(clock) else { return }
        try replicas.submit(
            JournalTransaction(notes: [JournalNote(Self.clockNote, Array(bytes))]), completion)
    }

    /// Goes on after a failure; what was refused since has to be written whole.
    func resume() {
        ledger?.resume()
        replicas.resume()
    }

    func close() async throws(JournalError) {
        try await ledger?.close()
        try await replicas.close()
    }
}

/// Two clocks at one moment: one that counts through a boot, one that goes on after it.
private struct ClockNote: Codable {
    let boot: String
    let bootNanoseconds: UInt64
    let realTimeNanoseconds: UInt64
    /// By cluster ID, nanoseconds.
    let ages: [UInt16: Int64]

    init(ages: [ClusterID: Duration], now: Instant, realTime: UInt64) {
        boot = Self.bootID
        bootNanoseconds = now.nanoseconds
        realTimeNanoseconds = realTime
        self.ages = Dictionary(
            uniqueKeysWithValues: ages.map { ($0.rawValue, $1.nanoseconds) })
    }

    /// Without the boot's clock only the wall's is left, and it may have been set back: an age is at
    /// least what it was.
    func ages(now: Instant, realTime: UInt64) -> [ClusterID: Duration] {
        let passed =
            boot == Self.bootID && now.nanoseconds >= bootNanoseconds
            ? now.nanoseconds - bootNanoseconds
            : realTime - min(realTime, realTimeNanoseconds)
        var result: [ClusterID: Duration] = [:]
        for (number, age) in ages {
            guard let owner = ClusterID(rawValue: number) else { continue }
            result[owner] = .nanoseconds(age) + .nanoseconds(Int64(clamping: passed))
        }
        return result
    }

    private static var bootID: String {
        (try? String(
            decoding: Data(contentsOf: URL(filePath: "/proc/sys/kernel/random/boot_id")),
            as: UTF8.self)) ?? ""
    }
}

extension StoredLedger {
    fileprivate init(_ stored: StoredReplica) {
        self.init(
            owner: stored.owner, header: stored.header,
            buckets: stored.buckets.map { .init(index: $0.index, bytes: $0.bytes) },
            messages: stored.log.map(\.message))
    }
}

extension JournalCheckpoint {
    fileprivate init(_ checkpoint: ReplicaCheckpoint) {
        self.init(
            owner: checkpoint.owner, position: checkpoint.position, header: checkpoint.header,
            buckets: checkpoint.buckets.map { JournalBucket(index: $0.index, bytes: $0.bytes) },
            replacesAll: checkpoint.isWhole)
    }
}
