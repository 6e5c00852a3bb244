// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Keeps the most recent flows for everybody who reads them, each at a pace of their own. An agent
/// that names addresses only for those who read has `Element` be the kernel's event instead of
/// ``Flow``.
///
/// Its memory is bounded whatever the readers do: who comes too late is told how many are gone.
public final class FlowHub<Element: Sendable>: Sendable {
    /// Flows that are kept: 0.2 s of 20,000 a second.
    public static var historyMaximum: Int { 4096 }

    /// What a reader gets.
    public struct News: Sendable {
        /// Oldest first.
        public let flows: [Element]
        /// Where to go on.
        public let position: UInt64
        /// Flows after the position asked for that are gone.
        public let lost: UInt64
    }

    private struct State {
        var history: [Element] = []
        /// Flows there have been in all.
        var total: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// Where those who want nothing of the past begin.
    public var position: UInt64 { state.withLock { $0.total } }

    /// - Complexity: one lock for all of them.
    public func publish(_ flows: some Sequence<Element>) {
        state.withLock { state in
            for flow in flows {
                if state.history.count < Self.historyMaximum {
                    state.history.append(flow)
                } else {
                    state.history[Int(state.total % UInt64(Self.historyMaximum))] = flow
                }
                state.total += 1
            }
        }
    }

    /// Flows after the first `position` there have been, the oldest of those that are kept; nil: all
    /// that are kept. A position of an earlier life counts as nil.
    public func news(after position: UInt64?, atMost limit: Int = historyMaximum) -> News {
        state.withLock { state in
            let oldest = state.total - UInt64(state.history.count)
            let wanted = position.flatMap { $0 <= state.total ? $0 : nil } ?? oldest
            let first = max(wanted, oldest)
            let end = min(state.total, first + UInt64(max(limit, 0)))
            return News(
                flows: (first..<end).map {
                    state.history[Int($0 % UInt64(Self.historyMaximum))]
                }, position: end, lost: first - wanted)
        }
    }
}
