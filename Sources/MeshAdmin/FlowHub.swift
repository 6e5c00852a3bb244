// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Hands flows to everybody who reads them and keeps the most recent ones. An agent that names
/// addresses only for those who read has `Element` be the kernel's event instead of ``Flow``.
///
/// Bounded on every side: a slow reader loses its oldest flows, never the agent its memory.
public final class FlowHub<Element: Sendable>: Sendable {
    /// Flows kept for those who come later.
    public static var historyMaximum: Int { 1024 }
    /// Flows waiting for one reader.
    public static var readerBufferMaximum: Int { 4096 }

    private struct State {
        var history: [Element] = []
        /// Where the oldest flow of a full history is.
        var oldest = 0
        var readers: [UInt64: AsyncStream<Element>.Continuation] = [:]
        var nextReader: UInt64 = 0
        var lost: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// Flows that readers didn't get because they were slow.
    public var lost: UInt64 { state.withLock { $0.lost } }

    var readers: Int { state.withLock { $0.readers.count } }

    public func publish(_ flow: Element) {
        state.withLock { state in
            if state.history.count < Self.historyMaximum {
                state.history.append(flow)
            } else {
                state.history[state.oldest] = flow
                state.oldest = (state.oldest + 1) % Self.historyMaximum
            }
            for reader in state.readers.values {
                if case .dropped = reader.yield(flow) { state.lost += 1 }
            }
        }
    }

    /// The kept flows, oldest first; with `follow`, then every flow to come until the stream is
    /// dropped.
    public func flows(follow: Bool) -> AsyncStream<Element> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Element.self, bufferingPolicy: .bufferingNewest(Self.readerBufferMaximum))
        let reader: UInt64? = state.withLock { state in
            for index in state.history.indices {
                continuation.yield(state.history[(state.oldest + index) % state.history.count])
            }
            guard follow else { return nil }
            state.nextReader += 1
            state.readers[state.nextReader] = continuation
            return state.nextReader
        }
        if let reader {
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { $0.readers[reader] = nil }
            }
        } else {
            continuation.finish()
        }
        return stream
    }
}
