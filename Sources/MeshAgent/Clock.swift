// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Nanoseconds since 1970-01-01T00:00Z, to the microsecond.
func realTimeNanoseconds() -> UInt64 {
    UInt64(max(0, Date().timeIntervalSince1970) * 1_000_000) * 1000
}

/// Whole seconds since 1970.
func unixSeconds() -> UInt64 { realTimeNanoseconds() / 1_000_000_000 }

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
