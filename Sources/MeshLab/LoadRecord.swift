// SPDX-License-Identifier: Apache-2.0

/// One line of a load's output: what became of a request or a connection.
public struct LoadRecord: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable {
        /// On a connection of its own.
        case request
        /// On a connection that stays.
        case talk
        /// A connection that only waits: `ok` when it was made, something else when it ended.
        case idle
    }

    public enum Outcome: String, Codable, Sendable {
        case ok
        /// Nobody listens, or no backend is left.
        case refused
        case reset
        /// The system ended the connection (`ECONNABORTED`), as the agent asks it to.
        case aborted
        case timeout
        case unreachable
        /// The other side ended the connection before its answer.
        case closed
        /// An answer that makes no sense, or another status than 200.
        case malformed
        /// More under way than ``LabLoad/requestsMax``; not sent.
        case overload
        case other
    }

    public var kind: Kind
    /// Number of the talker or idler; 0 for requests.
    public var connection: Int
    /// Nanoseconds of this machine's `CLOCK_MONOTONIC`.
    public var start: UInt64
    public var end: UInt64
    public var outcome: Outcome
    /// Who answered, or had answered on this connection.
    public var cluster: String?
    public var endpoint: String?

    /// Nanoseconds.
    public var elapsed: UInt64 { end - start }

    /// One line of JSON with its line break.
    var line: String {
        var text = "{\"kind\":\"\(kind.rawValue)\",\"connection\":\(connection),"
        text += "\"start\":\(start),\"end\":\(end),\"outcome\":\"\(outcome.rawValue)\""
        if let cluster { text += ",\"cluster\":\(quote(cluster))" }
        if let endpoint { text += ",\"endpoint\":\(quote(endpoint))" }
        return text + "}\n"
    }
}

/// The last line of a load's output.
public struct LoadSummary: Codable, Hashable, Sendable {
    public var seconds: Double
    /// Requests and talks.
    public var requests: Int
    public var failed: Int
    /// Of the answers' bodies.
    public var bytes: UInt64
    /// Microseconds, of those that succeeded; nil if none did.
    public var medianMicroseconds: Double?
    public var p99Microseconds: Double?
    /// Longest time between two successes, also before the first and after the last.
    public var longestGapMilliseconds: Double
    /// Successes by cluster.
    public var clusters: [String: Int]
}

/// Adds up records.
struct LoadTally {
    /// More latencies than this aren't kept: a sample of the first is enough.
    static let latenciesMax = 4_000_000

    private let start: UInt64
    private var requests = 0
    private var failed = 0
    private var latencies: [UInt64] = []
    private var lastSuccess: UInt64
    private var longestGap: UInt64 = 0
    private var clusters: [String: Int] = [:]
    var bytes: UInt64 = 0

    init(start: UInt64) {
        self.start = start
        lastSuccess = start
    }

    mutating func add(_ record: LoadRecord) {
        guard record.kind != .idle else { return }
        requests += 1
        guard record.outcome == .ok else {
            failed += 1
            return
        }
        longestGap = max(longestGap, record.end - min(record.end, lastSuccess))
        lastSuccess = max(lastSuccess, record.end)
        if latencies.count < Self.latenciesMax { latencies.append(record.elapsed) }
        if let cluster = record.cluster { clusters[cluster, default: 0] += 1 }
    }

    func summary(at now: UInt64) -> LoadSummary {
        let sorted = latencies.sorted()
        func percentile(_ share: Double) -> Double? {
            sorted.isEmpty
                ? nil : Double(sorted[Int(Double(sorted.count - 1) * share)]) / 1000
        }
        return LoadSummary(
            seconds: Double(now - start) / 1e9, requests: requests, failed: failed, bytes: bytes,
            medianMicroseconds: percentile(0.5), p99Microseconds: percentile(0.99),
            longestGapMilliseconds: Double(max(longestGap, now - lastSuccess)) / 1e6,
            clusters: clusters)
    }
}
