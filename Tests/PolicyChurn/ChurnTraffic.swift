// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel
import MeshPolicy
import Netlink
import Synchronization

/// A thread that makes short connections between the slots' network namespaces until it is stopped.
///
/// Sockets belong to the namespace in which they were made, so one thread serves and asks in all of
/// them, and one clock times everything.
final class ChurnTraffic: @unchecked Sendable {
    private struct Shared {
        var flows: [ChurnFlow] = []
        var failure: String?
    }

    private let shared = Mutex(Shared())
    private let isStopping = Atomic(false)
    /// Used by the thread alone, once it runs.
    private var sockets: ChurnSockets
    private var generator: SplitMix64
    private let slots: Range<Int>
    private let destinations: [Address]
    private var thread = pthread_t()

    /// - Parameter destinations: all addresses that endpoints may have.
    init(slots: [ChurnSlot], destinations: [Address], seed: UInt64) throws {
        self.slots = slots.indices
        self.destinations = destinations
        generator = SplitMix64(seed: seed)
        sockets = try ChurnSockets(
            namespaces: try slots.map { try NetworkNamespace(path: $0.path) })
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ChurnTraffic>.fromOpaque(argument).takeUnretainedValue().run()
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
        guard result == 0 else { throw LabError(.failed, "can't start a thread: \(result)") }
    }

    /// - Throws: ``LabError``: the thread had given up.
    func stop() throws -> [ChurnFlow] {
        isStopping.store(true, ordering: .releasing)
        pthread_join(thread, nil)
        return try shared.withLock {
            if let failure = $0.failure { throw LabError(.failed, failure) }
            return $0.flows
        }
    }

    private func run() {
        do {
            try sockets.listen(ChurnPolicies.traffic)
            var next = monotonicNanoseconds()
            while true {
                let isStopping = isStopping.load(ordering: .acquiring)
                if isStopping, sockets.isIdle { break }
                let now = monotonicNanoseconds()
                if !isStopping, now >= next {
                    next = max(next + ChurnSockets.intervalNanoseconds, now)
                    try ask()
                }
                let ended = try sockets.step()
                if !ended.isEmpty { shared.withLock { $0.flows += ended } }
            }
        } catch {
            shared.withLock { $0.failure = "\(error)" }
        }
    }

    /// From anybody to anybody: also where nobody is attached, and so nothing may pass.
    private func ask() throws {
        try sockets.ask(
            from: slots.randomElement(using: &generator)!,
            destinations.randomElement(using: &generator)!,
            ChurnPolicies.traffic.randomElement(using: &generator)!)
    }
}

/// Since the process first asked.
func monotonicNanoseconds() -> UInt64 {
    UInt64(clockStart.duration(to: .now).nanoseconds)
}

private let clockStart = SuspendingClock.now
