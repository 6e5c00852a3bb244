// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing

/// Collects a stream's events and lets tests wait until the collection looks as expected.
final class EventLog<Event: Sendable>: Sendable {
    private struct State {
        var events: [Event] = []
        var waiters: [UUID: @Sendable ([Event], Bool) -> Bool] = [:]
    }
    private let state = Mutex(State())
    private let reader = Mutex<Task<Void, Never>?>(nil)

    init<Source: AsyncSequence & Sendable>(_ source: Source)
    where Source.Element == Event, Source.Failure == Never {
        let task = Task { [weak self] in
            for await event in source { self?.append(event) }
        }
        reader.withLock { $0 = task }
    }

    deinit { reader.withLock { $0?.cancel() } }

    var all: [Event] { state.withLock { $0.events } }

    private func append(_ event: Event) {
        state.withLock { state in
            state.events.append(event)
            let events = state.events
            state.waiters = state.waiters.filter { !$0.value(events, false) }
        }
    }

    /// What `find` finds in all events so far, as soon as it finds something.
    func wait<Found: Sendable>(
        _ what: Comment, within deadline: Duration = .seconds(10),
        sourceLocation: SourceLocation = #_sourceLocation,
        _ find: @escaping @Sendable ([Event]) -> Found?
    ) async throws -> Found {
        let id = UUID()
        let timer = Task { [self] in
            try await Task.sleep(for: deadline)
            state.withLock { state in
                if let waiter = state.waiters.removeValue(forKey: id) { _ = waiter([], true) }
            }
        }
        defer { timer.cancel() }
        let found = await withCheckedContinuation {
            (continuation: CheckedContinuation<Found?, Never>) in
            state.withLock { state in
                if let found = find(state.events) { return continuation.resume(returning: found) }
                state.waiters[id] = { events, isLate in
                    let found = isLate ? nil : find(events)
                    if found != nil || isLate { continuation.resume(returning: found) }
                    return found != nil
                }
            }
        }
        return try #require(found, what, sourceLocation: sourceLocation)
    }
}

/// Waits until `condition` holds, for values that announce nothing.
func eventually(
    _ what: Comment, within deadline: Duration = .seconds(10),
    sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) async throws {
    let end = ContinuousClock.now + deadline
    while try !condition() {
        try #require(ContinuousClock.now < end, what, sourceLocation: sourceLocation)
        try await Task.sleep(for: .milliseconds(1))  // between two looks
    }
}
