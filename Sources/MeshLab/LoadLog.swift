// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// What a running load has written so far.
public struct LoadLog {
    public let records: [LoadRecord]

    /// - Throws: ``LabError`` if the file can't be read. The line that is being written is left out.
    public init(file: String) throws(LabError) {
        let text = try LabFolder.read(file)
        let decoder = JSONDecoder()
        records = text.split(separator: "\n").compactMap { line in
            // The summary, and a line cut short, are no records.
            try? decoder.decode(LoadRecord.self, from: Data(line.utf8))
        }
    }

    /// Requests on connections of their own that began in this time, oldest first.
    public func requests(from begin: UInt64 = 0, until end: UInt64 = .max) -> [LoadRecord] {
        records.filter { $0.kind == .request && $0.start >= begin && $0.start < end }
            .sorted { $0.start < $1.start }
    }

    /// Longest time without a success among requests that ended in this time, in nanoseconds.
    public func longestGap(from begin: UInt64, until end: UInt64) -> UInt64 {
        let successes = records.filter { $0.kind == .request && $0.outcome == .ok }
            .map(\.end).filter { $0 >= begin && $0 < end }.sorted()
        return zip(successes, successes.dropFirst()).map { $1 - $0 }.max() ?? end - begin
    }
}

extension [LoadRecord] {
    public var failures: [LoadRecord] { filter { $0.outcome != .ok } }

    /// Share of the successes that each cluster answered, 0...1, sorted by name.
    public var shares: [(cluster: String, share: Double)] {
        let answered = compactMap { $0.outcome == .ok ? $0.cluster : nil }
        let counts = answered.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        return counts.sorted { $0.key < $1.key }
            .map { (cluster: $0.key, share: Double($0.value) / Double(answered.count)) }
    }
}
