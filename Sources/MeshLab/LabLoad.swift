// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// Asks a service again and again, and writes what became of each request as a line of JSON.
///
/// One thread, `poll(2)`, no allocation but the lines': light beside what is measured. Requests with
/// an interval start at their time, whatever became of the earlier ones.
public struct LabLoad {
    /// Under way at a time, in all.
    public static let requestsMax = 8192
    /// A talker or idler whose connection ended comes back after this.
    static let reconnectDelay = Duration.milliseconds(20)
    static let retryNanoseconds: UInt64 = 1_000_000
    static let bufferLength = 262_144

    private let options: LoadOptions
    private let output: (String) -> Void
    private var connections: [LoadConnection] = []
    private var waits: [pollfd] = []
    /// Talkers and idlers without a connection: when they come back.
    private var absent: [(kind: LoadRecord.Kind, number: Int, time: UInt64)] = []
    private var nextRequest: UInt64 = 0
    private var requestsBegun = 0
    private var tally: LoadTally
    private var lines = ""
    private var buffer = [UInt8](repeating: 0, count: bufferLength)

    /// - Parameter output: gets one or more complete lines at a time.
    public init(_ options: LoadOptions, output: @escaping (String) -> Void) {
        self.options = options
        self.output = output
        tally = LoadTally(start: 0)
    }

    /// Runs for ``LoadOptions/duration``.
    ///
    /// - Returns: the summary, which was also the last line.
    public mutating func run() throws(LabError) -> LoadSummary {
        let begin = Lab.now()
        let end = options.duration.map { begin + UInt64($0.nanosecondsClamped) } ?? .max
        tally = LoadTally(start: begin)
        nextRequest = begin
        absent =
            (0..<options.talkers).map { (.talk, $0, begin) }
            + (0..<options.idlers).map { (.idle, $0, begin) }
        var now = begin
        while now < end, !isComplete {
            startDue(at: now)
            flush()
            try wait(until: min(end, nextEvent()))
            now = Lab.now()
            expireDue(at: now)
        }
        for connection in connections { close(connection.descriptor) }
        connections = []
        waits = []
        let summary = tally.summary(at: now)
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            lines += String(decoding: try encoder.encode(summary), as: UTF8.self) + "\n"
        } catch {
            throw LabError(.failed, "encode the summary: \(error)")
        }
        flush()
        return summary
    }

    /// Opens what is to begin now.
    private mutating func startDue(at now: UInt64) {
        if let interval = options.interval {
            let step = UInt64(interval.nanosecondsClamped)
            if step == 0 {
                let underWay = connections.count { $0.kind == .request }
                for _ in 0..<max(0, min(options.concurrency - underWay, requestsLeft)) {
                    open(.request, 0, at: now)
                }
            } else {
                while nextRequest <= now, requestsLeft > 0 {
                    open(.request, 0, at: now)
                    nextRequest += step
                }
            }
        }
        let due = absent.filter { $0.time <= now }
        guard !due.isEmpty else { return }
        absent.removeAll { $0.time <= now }
        for entry in due { open(entry.kind, entry.number, at: now) }
    }

    private var requestsLeft: Int { options.count.map { $0 - requestsBegun } ?? .max }

    private var isComplete: Bool {
        requestsLeft <= 0 && !connections.contains { $0.kind == .request }
    }

    private mutating func open(_ kind: LoadRecord.Kind, _ number: Int, at now: UInt64) {
        if kind == .request { requestsBegun += 1 }
        guard connections.count < Self.requestsMax else {
            return record(kind, number, now, .overload)
        }
        switch LoadConnection.open(kind, number, options, at: now) {
        case .success(let connection):
            connections.append(connection)
            waits.append(
                pollfd(fd: connection.descriptor, events: connection.events, revents: 0))
        case .failure(let failure):
            record(kind, number, now, failure.outcome)
            comeBack(kind, number)
        }
    }

    private mutating func wait(until time: UInt64) throws(LabError) {
        let now = Lab.now()
        // Rounded up: a millisecond late at most, and never a busy loop.
        let milliseconds = time > now ? min((time - now + 999_999) / 1_000_000, 60_000) : 0
        let ready = poll(&waits, nfds_t(waits.count), Int32(milliseconds))
        guard ready >= 0 || errno == EINTR else { throw .system("poll") }
        guard ready > 0 else { return }
        // Backwards, so that a removal moves only what was looked at.
        for index in connections.indices.reversed() where waits[index].revents != 0 {
            switch connections[index].progress(&buffer) {
            case .waits: waits[index].events = connections[index].events
            case .answered: answered(index)
            case .ended(let outcome): finish(index, outcome)
            }
        }
    }

    private mutating func answered(_ index: Int) {
        tally.bytes += UInt64(connections[index].bodyBytes)
        switch connections[index].kind {
        case .request:
            finish(index, .ok)
        case .talk:
            record(connections[index], .ok)
            let now = Lab.now()
            let pause = UInt64(options.talkInterval.nanosecondsClamped)
            if pause == 0 {
                connections[index].ask(at: now, timeout: options.timeout)
            } else {
                connections[index].rest(until: now + pause)
            }
            waits[index].events = connections[index].events
        case .idle:
            record(connections[index], .ok)
            connections[index].rest(until: .max)
            waits[index].events = connections[index].events
        }
    }

    /// Gives up what is overdue, and lets rested talkers talk.
    private mutating func expireDue(at now: UInt64) {
        for index in connections.indices.reversed() where connections[index].deadline <= now {
            if connections[index].phase == .resting {
                connections[index].ask(at: now, timeout: options.timeout)
                waits[index].events = connections[index].events
            } else {
                finish(index, .timeout)
            }
        }
    }

    private mutating func finish(_ index: Int, _ outcome: LoadRecord.Outcome) {
        let connection = connections[index]
        close(connection.descriptor)
        connections.swapAt(index, connections.count - 1)
        connections.removeLast()
        waits.swapAt(index, waits.count - 1)
        waits.removeLast()
        record(connection, outcome)
        comeBack(connection.kind, connection.number)
    }

    private mutating func comeBack(_ kind: LoadRecord.Kind, _ number: Int) {
        guard kind != .request else { return }
        absent.append(
            (kind, number, Lab.now() + UInt64(Self.reconnectDelay.nanosecondsClamped)))
    }

    private func nextEvent() -> UInt64 {
        var next = absent.map(\.time).min() ?? .max
        if let interval = options.interval, requestsLeft > 0 {
            let isLacking = connections.count { $0.kind == .request } < options.concurrency
            // Without an interval only a request that failed at once leaves a lack: no busy loop.
            if interval > .zero {
                next = min(next, nextRequest)
            } else if isLacking {
                next = min(next, Lab.now() + Self.retryNanoseconds)
            }
        }
        for connection in connections { next = min(next, connection.deadline) }
        return next
    }

    private mutating func record(_ connection: LoadConnection, _ outcome: LoadRecord.Outcome) {
        add(
            LoadRecord(
                kind: connection.kind, connection: connection.number, start: connection.start,
                end: Lab.now(), outcome: outcome, cluster: connection.cluster,
                endpoint: connection.endpoint))
    }

    private mutating func record(
        _ kind: LoadRecord.Kind, _ number: Int, _ start: UInt64, _ outcome: LoadRecord.Outcome
    ) {
        add(
            LoadRecord(
                kind: kind, connection: number, start: start, end: Lab.now(), outcome: outcome))
    }

    private mutating func add(_ record: LoadRecord) {
        tally.add(record)
        if !options.summaryOnly { lines += record.line }
    }

    private mutating func flush() {
        guard !lines.isEmpty else { return }
        output(lines)
        lines = ""
    }
}
