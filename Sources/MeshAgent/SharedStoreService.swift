// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshEtcd
import MeshJournal
import MeshLease
import MeshModel
import MeshReplication
import ServiceLifecycle

/// Keeps the own cluster's ledger in etcd: brings what is written there to this node's core, and
/// writes what this node publishes.
actor SharedStoreService: Service {
    /// Between two attempts to write a batch that may or may not have been written.
    private static let retryInterval = Duration.milliseconds(200)

    private let store: EtcdLedgerStore
    private let state: StateService
    private let log: Logger
    private let commits: AsyncStream<PublishedBatch>
    /// What the next batch is to follow, as the reader knows it.
    private var read = EtcdLedgerPosition.empty
    /// The same as this node's own last batch left it; nil before its first one.
    private var written: EtcdLedgerPosition?

    init(
        store: EtcdLedgerStore, state: StateService, commits: AsyncStream<PublishedBatch>,
        log: Logger
    ) {
        self.store = store
        self.state = state
        self.commits = commits
        self.log = log
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.follow() }
            group.addTask { await self.write() }
        }
    }

    private func follow() async {
        for await event in store.events().cancelOnGracefulShutdown() {
            switch event {
            case .snapshot(let snapshot): await adopt(snapshot)
            case .batch(let message, let position):
                read = position
                if await !state.absorb(message) { await catchUp() }
            case .reset(let reason):
                log.warning("etcd is read anew", metadata: ["reason": "\(reason)"])
            case .interrupted(let error):
                log.warning("etcd doesn't answer", metadata: ["error": "\(error)"])
            }
        }
    }

    private func catchUp() async {
        do throws(EtcdError) {
            await adopt(try await store.snapshot())
        } catch {
            log.warning("etcd doesn't answer", metadata: ["error": "\(error)"])
        }
    }

    private func adopt(_ snapshot: EtcdLedgerSnapshot) async {
        read = snapshot.position
        await state.adopt(
            snapshot.head,
            entries: snapshot.records.map { LedgerEntry(key: $0.key, value: $0.value) })
    }

    private func write() async {
        for await batch in commits.cancelOnGracefulShutdown() {
            if batch.opensEpoch { written = nil }
            await commit(batch)
        }
    }

    /// Until it is written, or can't be.
    private func commit(_ batch: PublishedBatch) async {
        while let tenure = await state.tenure(of: batch.epoch) {
            do throws(EtcdError) {
                written = try await store.commit(
                    EtcdBatch(
                        changes: batch.stored.changes.map {
                            EtcdRecordChange(key: $0.key, value: $0.value)
                        }, head: batch.stored.proof, message: batch.message), as: tenure,
                    after: written ?? read)
                await state.committed(batch)
                return
            } catch {
                guard error.code == .unavailable else {
                    log.error("etcd refused a batch", metadata: ["error": "\(error)"])
                    await state.storeRefused(epoch: batch.epoch)
                    return
                }
                // Cancelled: the loop ends with the tenure, or with the next attempt.
                try? await Task.sleep(for: Self.retryInterval)
                if Task.isCancelled { return }
            }
        }
    }
}

/// A revision on its way to the store.
struct PublishedBatch: Sendable {
    let position: Position
    let message: [UInt8]
    let stored: StoredBatch

    var epoch: UInt32 { position.epoch }
    var opensEpoch: Bool { position.revision == 1 }
}

extension StateService {
    func absorb(_ message: [UInt8]) -> Bool {
        var isNext = true
        step { core, effects in isNext = core.absorb(message, into: &effects) }
        return isNext
    }

    func adopt(_ proof: [UInt8], entries: [LedgerEntry]) {
        step { core, effects in core.adopt(proof, entries: entries, into: &effects) }
    }

    /// Journaled only now: a publisher that restarts must not know more than the store does.
    func committed(_ batch: PublishedBatch) {
        let owner = core.configuration.cluster
        let isNewest = core.synchroniser.head(of: owner)?.position == batch.position
        if isNewest, journaled[owner] == nil || mustSave(owner) {
            save(owner)
        } else if let written = journaled[owner], batch.position > written {
            journaled[owner] = batch.position
            write(owner, batch.position) { journal, completion throws(JournalError) in
                try journal.append(owner, batch.position, batch.message, completion)
            }
        }
        // Last, for it may publish what was gathered meanwhile.
        stored(batch.position)
    }

    /// - Returns: nil if this node doesn't publish that epoch any more.
    func tenure(of epoch: UInt32) -> LeaseTenure? {
        guard let published = core.synchroniser.publishedEpoch, published == epoch,
            let candidacy = core.candidacy
        else { return nil }
        return candidacy.keeper.tenure(at: .bootNow)
    }

    func storeRefused(epoch: UInt32) {
        guard tenure(of: epoch) != nil else { return }
        step { core, effects in core.storeRefused(at: .bootNow, into: &effects) }
    }
}
