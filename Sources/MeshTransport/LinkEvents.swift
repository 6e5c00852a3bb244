// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// What happens on the links of a ``LinkService``, for one reader.
///
/// No frame is ever lost: a link whose frames wait for the reader isn't read from.
public struct LinkEvents: AsyncSequence, Sendable {
    public typealias Element = LinkEvent
    public typealias Failure = Never
    let queue: LinkEventQueue

    public struct AsyncIterator: AsyncIteratorProtocol {
        let queue: LinkEventQueue

        public mutating func next() async -> LinkEvent? { await queue.next() }

        public mutating func next(isolation actor: isolated (any Actor)?) async -> LinkEvent? {
            await queue.next()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }
}

final class LinkEventQueue: Sendable {
    /// Refusals that may wait: strangers can cause as many as they like.
    static let refusalsMaximum = 1_024

    private struct State {
        var waiting = CircularBuffer<(event: LinkEvent, connection: LinkConnection?)>()
        var refusals = 0
        var reader: CheckedContinuation<LinkEvent?, Never>?
        var isFinished = false
    }

    private let state = Mutex(State())

    /// - Parameter connection: told when a frame has been taken.
    /// - Returns: false when the event was lost.
    @discardableResult
    func yield(_ event: LinkEvent, from connection: LinkConnection? = nil) -> Bool {
        let (reader, isKept) = state.withLock {
            state -> (CheckedContinuation<LinkEvent?, Never>?, Bool) in
            if state.isFinished { return (nil, false) }
            if let reader = state.reader {
                state.reader = nil
                return (reader, true)
            }
            if case .refused = event {
                if state.refusals >= Self.refusalsMaximum { return (nil, false) }
                state.refusals += 1
            }
            state.waiting.append((event, connection))
            return (nil, true)
        }
        if let reader {
            reader.resume(returning: event)
            connection?.taken(event)
        }
        return isKept
    }

    func finish() {
        let reader = state.withLock { state in
            state.isFinished = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: nil)
    }

    func next() async -> LinkEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (taken, previous) = state.withLock { state in
                    take(for: continuation, from: &state)
                }
                previous?.resume(returning: nil)
                guard let taken else { return }
                continuation.resume(returning: taken.event)
                if let event = taken.event { taken.connection?.taken(event) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(returning: nil)
        }
    }

    private typealias Taken = (event: LinkEvent?, connection: LinkConnection?)

    /// What to give the reader now, or nil after making it wait; a reader that waited already ends.
    private func take(
        for reader: CheckedContinuation<LinkEvent?, Never>, from state: inout State
    ) -> (Taken?, CheckedContinuation<LinkEvent?, Never>?) {
        if let (event, connection) = state.waiting.popFirst() {
            if case .refused = event { state.refusals -= 1 }
            return ((event, connection), nil)
        }
        if state.isFinished || Task.isCancelled { return ((nil, nil), nil) }
        defer { state.reader = reader }
        return (nil, state.reader)
    }
}
