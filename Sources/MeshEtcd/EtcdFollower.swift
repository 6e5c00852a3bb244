// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Why a consumer gets everything anew.
public enum EtcdReset: Hashable, Sendable {
    /// What lies between is no longer kept.
    case compacted
    /// etcd is at a lower revision than it once was: its data was lost or restored.
    case wentBack
    /// The watched key was deleted, or holds what it mustn't.
    case removed
}

/// Lists once, then watches from there, for ever: the one loop behind every feed of this target.
struct EtcdFollower: Sendable {
    let client: EtcdClient
    let range: EtcdRange
    /// Reads and delivers everything.
    /// - Returns: the revision that this was at.
    let list: @Sendable () async throws -> Int64
    /// Delivers one change.
    /// - Throws: ``EtcdError`` `.malformed`: everything is listed again.
    let change: @Sendable (EtcdChange) async throws -> Void
    /// Tells that a listing follows that replaces what was delivered.
    let reset: @Sendable (EtcdReset) async -> Void
    /// Tells that nothing new arrives until it does again.
    let interrupted: @Sendable (EtcdError) async -> Void

    /// Ends when it is cancelled.
    func run() async {
        let next = Mutex<Int64?>(nil)
        let pause = Mutex(EtcdLimit.pause)
        while !Task.isCancelled {
            do {
                let start: Int64
                if let known = next.withLock({ $0 }) {
                    start = known
                } else {
                    start = try await list() + 1
                    next.withLock { $0 = start }
                    pause.withLock { $0 = EtcdLimit.pause }
                }
                try await client.watch(range, from: start) { [change] delivered in
                    try await change(delivered)
                    next.withLock { $0 = delivered.revision + 1 }
                    pause.withLock { $0 = EtcdLimit.pause }
                }
            } catch {
                guard !Task.isCancelled else { return }
                await recover(from: EtcdError(error), next)
                let wait = pause.withLock { pause in
                    defer { pause = min(pause * 2, EtcdLimit.pauseMaximum) }
                    return pause
                }
                // Ends early only by cancellation, which the loop sees.
                try? await Task.sleep(for: wait, clock: .continuous)
            }
        }
    }

    private func recover(from error: EtcdError, _ next: borrowing Mutex<Int64?>) async {
        let reason: EtcdReset?
        switch error.code {
        case .compacted: reason = .compacted
        case .malformed: reason = .removed
        case .future: reason = await isBehind(next.withLock { $0 ?? 0 }) ? .wentBack : nil
        default: reason = nil
        }
        if let reason, next.withLock({ $0 }) != nil {
            next.withLock { $0 = nil }
            await reset(reason)
        } else {
            await interrupted(error)
        }
    }

    /// Whether the whole cluster is at a revision below `start` − 1, and not just a member that lags.
    private func isBehind(_ start: Int64) async -> Bool {
        let reply = try? await client.range(WireRangeRequest(EtcdRange(key: "/")))
        return reply.map { $0.header.revision + 1 < start } ?? false
    }
}

/// A stream that holds its producer up when its consumer is slow.
struct EtcdOutlet<Event: Sendable>: Sendable {
    let continuation: AsyncStream<Event>.Continuation

    static func makeStream(
        _ produce: @Sendable @escaping (EtcdOutlet) async -> Void
    ) -> AsyncStream<Event> {
        AsyncStream(bufferingPolicy: .bufferingOldest(EtcdLimit.waitingEvents)) { continuation in
            let task = Task { await produce(EtcdOutlet(continuation: continuation)) }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// Returns when the event is on its way, or nobody listens any more.
    func send(_ event: Event) async {
        while case .dropped = continuation.yield(event), !Task.isCancelled {
            // Full: nothing tells when it no longer is. Cancellation ends the loop.
            try? await Task.sleep(for: .milliseconds(5), clock: .continuous)
        }
    }
}
