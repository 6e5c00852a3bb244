// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel

/// A keeper of the lease on a real store and this machine's clock.
actor Candidate {
    /// What happened, without calls.
    nonisolated let events: AsyncStream<LeaseEffect>
    private let event: AsyncStream<LeaseEffect>.Continuation
    private let store: any LeaseStore
    private var keeper: LeaseKeeper
    private var generator = SystemRandomNumberGenerator()
    private var timerAt: Instant?
    private var tasks: [Task<Void, Never>] = []

    init(_ name: String, on store: any LeaseStore) {
        self.store = store
        keeper = LeaseKeeper(holder: .named(name), parameters: store.parameters)
        (events, event) = AsyncStream.makeStream()
    }

    var tenure: LeaseTenure? { keeper.tenure(at: .bootNow) }

    func start() {
        follow { candidate in
            for await state in candidate.store.changes() { await candidate.observe(state) }
        }
        perform(keeper.step(at: .bootNow, using: &generator))
    }

    /// Ends like a process that is killed: nothing is said to the store.
    func kill() {
        for task in tasks { task.cancel() }
        keeper = LeaseKeeper(holder: keeper.holder, parameters: keeper.parameters)
    }

    func open(epoch: UInt32) throws {
        perform(try keeper.open(epoch: epoch, at: .bootNow, using: &generator))
    }

    func reserve(_ count: UInt32) throws {
        perform(try keeper.reserve(count, at: .bootNow, using: &generator))
    }

    func release() { perform(keeper.release(at: .bootNow, using: &generator)) }

    private func observe(_ state: LeaseState?) {
        perform(keeper.observe(state, at: .bootNow, using: &generator))
    }

    private func wake() {
        timerAt = nil
        perform(keeper.step(at: .bootNow, using: &generator))
    }

    private func perform(_ effects: [LeaseEffect]) {
        for effect in effects {
            guard case .call(let call) = effect else {
                event.yield(effect)
                continue
            }
            follow { candidate in
                let answer = await candidate.store.answer(to: call.request)
                guard !Task.isCancelled else { return }
                await candidate.receive(answer, to: call.id)
            }
        }
        let wake = keeper.wake
        guard !keeper.isWithdrawn, timerAt.map({ wake < $0 }) ?? true else { return }
        timerAt = wake
        follow { candidate in
            let delay = max(wake - Instant.bootNow, Duration.zero)
            do { try await Task.sleep(for: delay, clock: .continuous) } catch {
                return
            }
            await candidate.wake()
        }
    }

    private func receive(_ answer: LeaseAnswer, to id: UInt64) {
        perform(keeper.receive(answer, to: id, at: .bootNow, using: &generator))
    }

    private func follow(_ body: @Sendable @escaping (Candidate) async -> Void) {
        tasks.append(Task { [self] in await body(self) })
    }
}
