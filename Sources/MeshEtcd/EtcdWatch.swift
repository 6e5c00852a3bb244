// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GRPCCore
import Synchronization

/// All changes of one revision within a watched range: what one transaction did there.
struct EtcdChange: Sendable {
    let revision: Int64
    let events: [WireEvent]
}

extension EtcdClient {
    /// Delivers every change from a revision on, in order, until something fails.
    ///
    /// - Parameter handle: called for one change at a time; etcd waits for it.
    /// - Throws: always, in the end. `.compacted`: list again. `.future`: etcd went back. Otherwise
    ///   watch again from the revision after the last one that was delivered.
    func watch(
        _ range: EtcdRange, from revision: Int64,
        handle: @Sendable @escaping (EtcdChange) async throws -> Void
    ) async throws(EtcdError) -> Never {
        let vigil = EtcdVigil()
        let streaming = streaming
        let end = try await call(isRepeatable: false) { connection in
            try await withThrowingTaskGroup(of: EtcdError.self) { group in
                defer { group.cancelAll() }
                group.addTask {
                    try await WireWatch.Client(wrapping: connection).watch(
                        options: streaming,
                        requestProducer: { try await ask(range, from: revision, $0) }
                    ) { response in
                        var reading = EtcdWatchReading(start: revision)
                        for try await message in response.messages {
                            vigil.note()
                            for change in try reading.receive(message) { try await handle(change) }
                            vigil.note()
                        }
                        return EtcdError(.unavailable, "the watch ended")
                    }
                }
                group.addTask {
                    try await vigil.awaitSilence()
                    return EtcdError(.unavailable, "the watch fell silent")
                }
                guard let end = try await group.next() else { throw CancellationError() }
                // Thrown, so that the next endpoint has its turn.
                throw end
            } as EtcdError
        }
        throw end
    }

    private var streaming: CallOptions {
        var options = options
        options.timeout = nil
        return options
    }
}

/// When something was heard last.
private final class EtcdVigil: Sendable {
    private let last = Mutex(ContinuousClock.now)

    func note() { last.withLock { $0 = .now } }

    /// Returns when nothing has been heard for too long.
    func awaitSilence() async throws {
        while true {
            let due = last.withLock { $0 } + EtcdLimit.silence
            guard due > .now else { return }
            try await Task.sleep(until: due, clock: .continuous)
        }
    }
}

/// Asks for a watch, and then now and then for a sign of life.
private func ask(
    _ range: EtcdRange, from revision: Int64, _ writer: RPCWriter<WireWatchRequest>
) async throws {
    var create = WireWatchCreateRequest()
    create.key = Data(range.key)
    if let end = range.end { create.rangeEnd = Data(end) }
    create.startRevision = revision
    create.fragment = true
    var request = WireWatchRequest()
    request.createRequest = create
    try await writer.write(request)
    request.progressRequest = WireWatchProgressRequest()
    while true {
        try await Task.sleep(for: EtcdLimit.question, clock: .continuous)
        try await writer.write(request)
    }
}

/// Puts the messages of a watch together into whole revisions.
struct EtcdWatchReading {
    private let start: Int64
    private var events: [WireEvent] = []

    /// - Parameter start: the first revision that was asked for.
    init(start: Int64) { self.start = start }

    /// - Returns: the changes that are complete, oldest first. A progress message brings none: etcd
    ///   3.4 may send one that it was asked for ahead of events it still owes (etcd-io/etcd#15220),
    ///   so that it proves life, but no revision.
    mutating func receive(_ message: WireWatchResponse) throws(EtcdError) -> [EtcdChange] {
        guard message.compactRevision == 0 else {
            throw EtcdError(.compacted, "compacted at revision \(message.compactRevision)")
        }
        guard !message.canceled else { throw EtcdError(.refused, message.cancelReason) }
        if message.created, message.header.revision + 1 < start {
            throw EtcdError(
                .future, "asked for revision \(start), etcd is at \(message.header.revision)")
        }
        events += message.events
        var changes = events.chunked()
        events = []
        // A long response comes in fragments, of which the last revision may not be complete.
        if message.fragment, let last = changes.popLast() {
            events = last.events
            let bytes = events.reduce(0) { $0 + $1.kv.key.count + $1.kv.value.count }
            guard bytes <= EtcdLimit.messageBytes else {
                throw EtcdError(.tooLarge, "one revision has \(bytes) bytes")
            }
        }
        return changes
    }
}

extension [WireEvent] {
    fileprivate func chunked() -> [EtcdChange] {
        var changes: [EtcdChange] = []
        var rest = self[...]
        while let revision = rest.first?.kv.modRevision {
            let events = rest.prefix { $0.kv.modRevision == revision }
            changes.append(EtcdChange(revision: revision, events: Array(events)))
            rest = rest.dropFirst(events.count)
        }
        return changes
    }
}
