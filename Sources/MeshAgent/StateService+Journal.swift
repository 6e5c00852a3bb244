// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshJournal
import MeshLease
import MeshModel
import MeshReplication
import ServiceLifecycle

// MARK: The journal

extension StateService {
    /// How often the ages of all pictures are written down.
    private static let clockInterval = Duration.seconds(10)

    /// Writes something of an owner, up to `position`; what fails is written whole later.
    func write(
        _ owner: ClusterID, _ position: Position,
        _ body: (StateJournal, @escaping JournalWriter.Completion) throws(JournalError) -> Void
    ) {
        let isOwn = owner == core.configuration.cluster
        do throws(JournalError) {
            try body(journal) { result in
                switch result {
                case .success: if isOwn { Task { await self.stored(position) } }
                case .failure(let error): Task { await self.failed(owner, error) }
                }
            }
        } catch {
            failed(owner, error)
        }
    }

    func save(_ owner: ClusterID) {
        guard
            let checkpoint = core.synchroniser.takeCheckpoint(
                of: owner, whole: journaled[owner] == nil)
        else { return }
        unsaved.remove(owner)
        journaled[owner] = checkpoint.position
        write(owner, checkpoint.position) { journal, completion throws(JournalError) in
            try journal.save(checkpoint, completion)
        }
    }

    /// What can't be removed is overwritten should the cluster be a peer again, and read by nobody else.
    func forget(_ owner: ClusterID) {
        journaled[owner] = nil
        unsaved.remove(owner)
        do throws(JournalError) {
            try journal.remove(owner) { _ in }
        } catch {
            count("journal_failed")
        }
    }

    /// Whether a checkpoint of the owner is due. One that was read from disk and hasn't changed since
    /// has none, though the journal lacks one to follow.
    func mustSave(_ owner: ClusterID) -> Bool {
        unsaved.contains(owner) || core.synchroniser.isCheckpointDue(of: owner)
    }

    func stored(_ position: Position) {
        step { core, effects in
            core.durable(through: position, at: .bootNow, into: &effects)
        }
    }

    private func failed(_ owner: ClusterID, _ error: JournalError) {
        count("journal_failed")
        journaled[owner] = nil
        guard unsaved.insert(owner).inserted else { return }
        log.error(
            "A ledger can't be written down: tried again every second",
            metadata: ["cluster": "\(owner)", "error": "\(error)"])
    }

    /// Once a second: what failed is tried again, long logs become checkpoints.
    func keepJournal(at now: Instant) {
        if !unsaved.isEmpty { journal.resume() }
        for owner in core.synchroniser.owners where mustSave(owner) {
            // What the shared store hasn't taken yet must not be on disk either: once it has.
            if owner == core.configuration.cluster, store != nil, core.synchroniser.hasUnreleased {
                continue
            }
            save(owner)
        }
        guard now >= nextClockNote else { return }
        nextClockNote = now + Self.clockInterval
        var ages: [ClusterID: Duration] = [:]
        // Of a picture that isn't on disk the disk can't know how old it is.
        for owner in core.synchroniser.owners where !unsaved.contains(owner) {
            ages[owner] = core.synchroniser.age(of: owner, at: now)
        }
        do throws(JournalError) {
            try journal.note(ages: ages, now: now, realTime: realTimeNanoseconds()) { _ in }
        } catch {
            count("journal_failed")
        }
    }
}

// MARK: The lease

extension StateService {
    /// Longer than a graceful stop may wait for a lease store.
    private static let resignationLimit = Duration.seconds(1)

    func ask(_ call: LeaseCall) {
        guard let leaseStore else { return }
        Task {
            let answer = await leaseStore.answer(to: call.request)
            self.step { core, effects in
                core.leaseAnswered(answer, to: call.id, at: .bootNow, into: &effects)
            }
        }
    }

    func followLease() async {
        guard let leaseStore else { return }
        for await state in leaseStore.changes().cancelOnGracefulShutdown() {
            step { core, effects in
                core.leaseObserved(state, at: .bootNow, into: &effects)
            }
        }
    }

    /// Lets another candidate take over without waiting for this one's silence.
    func resign() async {
        guard leaseStore != nil else { return }
        let deadline = Instant.bootNow + Self.resignationLimit
        step { core, effects in core.resign(at: .bootNow, into: &effects) }
        while core.candidacy?.keeper.isWithdrawn == false, .bootNow < deadline {
            // The answers come as ever. Cancelled: this service has to end.
            do { try await Task.sleep(for: .milliseconds(10)) } catch { return }
        }
    }
}
