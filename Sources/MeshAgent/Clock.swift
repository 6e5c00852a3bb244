// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Nanoseconds since 1970-01-01T00:00Z.
func realTimeNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Ticks until it is cancelled; a tick that comes late moves those after it.
struct AsyncTimer: AsyncSequence, Sendable {
    let every: Duration

    struct AsyncIterator: AsyncIteratorProtocol {
        let every: Duration

        mutating func next() async -> Void? { await next(isolation: nil) }

        mutating func next(isolation: isolated (any Actor)?) async -> Void? {
            do {
                return try await Task.sleep(for: every)
            } catch {
                return nil
            }
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(every: every) }
}
