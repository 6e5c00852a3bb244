// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshLease
import MeshModel
import ServiceLifecycle
import Synchronization

/// Waits for the publisher's lease, and keeps it while the authority gets ready.
struct Leadership: Sendable {
    private static let interval = Duration.milliseconds(100)

    let store: any LeaseStore
    let holder: LeaseHolder
    let log: Logger

    /// - Parameter prepare: begun with the lease in hand, and again if it is lost meanwhile.
    /// - Returns: the keeper, which holds the lease; renewing it is up to its new owner.
    /// - Throws: what `prepare` throws, and `CancellationError`.
    func acquire<Ready: Sendable>(
        _ prepare: @escaping @Sendable () async throws -> Ready
    ) async throws -> (keeper: LeaseKeeper, ready: Ready) {
        while true {
            if let result = try await attempt(prepare) { return result }
        }
    }

    private enum Event<Ready: Sendable>: Sendable {
        case tick
        case answer(LeaseAnswer, id: UInt64)
        case ready(Result<Ready, any Error>)
    }

    /// Nil if the lease was lost before all was ready.
    private func attempt<Ready: Sendable>(
        _ prepare: @escaping @Sendable () async throws -> Ready
    ) async throws -> (keeper: LeaseKeeper, ready: Ready)? {
        var keeper = LeaseKeeper(holder: holder, parameters: store.parameters)
        var generator = SystemRandomNumberGenerator()
        var isPreparing = false
        return try await withThrowingTaskGroup(of: Event<Ready>.self) { group in
            defer { group.cancelAll() }
            func tick() {
                group.addTask {
                    try await Task.sleep(for: Self.interval)
                    return .tick
                }
            }
            tick()
            while let event = try await group.next() {
                var effects: [LeaseEffect] = []
                switch event {
                case .tick:
                    effects = keeper.step(at: .bootNow, using: &generator)
                    tick()
                case .answer(let answer, let id):
                    effects = keeper.receive(answer, to: id, at: .bootNow, using: &generator)
                case .ready(let result):
                    let ready = try result.get()
                    // The clock may have run out since the last step.
                    guard keeper.tenure(at: .bootNow) != nil else { return nil }
                    return (keeper, ready)
                }
                for effect in effects {
                    switch effect {
                    case .call(let call):
                        group.addTask { [store] in
                            .answer(await store.answer(to: call.request), id: call.id)
                        }
                    case .acquired:
                        guard !isPreparing else { return nil }
                        isPreparing = true
                        group.addTask {
                            do { return .ready(.success(try await prepare())) } catch {
                                return .ready(.failure(error))
                            }
                        }
                    case .lost: return nil
                    case .observed(let record):
                        guard let other = record?.holder, other != holder, other != .nobody
                        else { continue }
                        log.info(
                            "Another replica is the authority",
                            metadata: ["holder": "\(other)"])
                    case .failed(let error):
                        log.debug(
                            "The lease store doesn't answer", metadata: ["error": "\(error)"])
                    case .opened, .reserved: break
                    }
                }
            }
            return nil
        }
    }
}

/// Ends an authority that lost the lease, or whose Secret another one wrote: whoever holds it now must
/// find its place free.
struct LeadershipWatch: Service, CustomStringConvertible {
    private static let interval = Duration.milliseconds(250)

    let state: StateService
    let lead: AgentGround.Lead
    let log: Logger
    let description = "LeadershipWatch"

    func run() async {
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            guard await state.core.candidacy?.keeper.tenure(at: .bootNow) != nil else {
                lead.lost.set()
                return log.warning("The authority's lease is lost: another replica may have it")
            }
            do {
                try await lead.vault.settle()
                await lead.roots.publish()
            } catch VaultFault.taken {
                lead.lost.set()
                return log.error("\(VaultFault.taken): this one gives up its place")
            } catch {
                log.warning(
                    "What the authority decided isn't kept yet", metadata: ["error": "\(error)"])
            }
        }
    }
}

/// Set when an authority gives up its place.
final class LostFlag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
