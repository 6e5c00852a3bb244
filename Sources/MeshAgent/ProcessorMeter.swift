// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What the processors of this node can do and do, in millicores.
struct ProcessorMeter: Sendable {
    /// Weight of a reading against those before it falls to a third in this time: longer than bursts
    /// that no weight could answer, shorter than it takes to start a backend.
    static let smoothing = Duration.seconds(10)

    private var last: (times: ProcessorTimes, at: Instant)?
    private var use: Double?

    /// - Returns: nil for the first reading, which has nothing to compare with.
    mutating func measure(_ times: ProcessorTimes, at now: Instant) -> Workload? {
        defer { last = (times, now) }
        guard let last, now > last.at, times.total > last.times.total else {
            return workload(times)
        }
        // A processor that goes offline takes its times along.
        let busy = times.busy > last.times.busy ? times.busy - last.times.busy : 0
        let current = min(Double(busy) / Double(times.total - last.times.total), 1)
        let elapsed = (now - last.at).seconds
        let use = use ?? current
        self.use = use + (current - use) * elapsed / (elapsed + Self.smoothing.seconds)
        return workload(times)
    }

    private func workload(_ times: ProcessorTimes) -> Workload? {
        guard let use else { return nil }
        let capacity = Double(times.online) * 1000
        return Workload(capacity: UInt32(capacity), used: UInt32((capacity * use).rounded()))
    }
}

/// Sums of /proc/stat, in ticks since boot.
struct ProcessorTimes: Hashable, Sendable {
    /// 1...65,536.
    let online: Int
    let total: UInt64
    let busy: UInt64

    /// Reads lines `cpu user nice system idle iowait irq softirq steal …` (proc_stat(5)); times as a
    /// guest are in user's. What a hypervisor steals nobody can use: busy.
    init(parsing text: String) throws(CapacityFault) {
        var online = 0
        var sum: [UInt64] = []
        for line in text.split(separator: "\n") {
            guard line.hasPrefix("cpu") else { break }
            let fields = line.split(separator: " ")
            guard fields[0] == "cpu" else {
                online += 1
                continue
            }
            sum = fields.dropFirst().prefix(8).compactMap { UInt64($0) }
        }
        guard (1...65_536).contains(online), sum.count == 8,
            sum.allSatisfy({ $0 < 1 << 60 })
        else { throw .malformed("no times of processors") }
        self.online = online
        total = sum.reduce(0, +)
        busy = total - sum[3] - sum[4]
    }
}

/// Why a capacity can't be told. The last one stands for half a minute, then it is unknown.
enum CapacityFault: Error, Hashable, CustomStringConvertible {
    case unreadable(operation: String, errno: Int32)
    case malformed(String)

    var description: String {
        switch self {
        case .unreadable(let operation, let errno): "\(operation) failed with error \(errno)"
        case .malformed(let reason): reason
        }
    }
}

extension Workload {
    /// What an operator's file may hold: two numbers, capacity and use, in one unit, with a decimal
    /// point if need be. Told in thousandths of it.
    static let fileMaximum = 4_000_000.0

    private static func isAllowed(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || [0x20, 0x0a, 0x0d, 0x09].contains(byte)
    }

    init(parsing text: String) throws(CapacityFault) {
        let fields = text.split(whereSeparator: \.isWhitespace)
        // Double takes a zero byte for the end, and words such as `inf` for numbers.
        guard fields.count == 2, text.utf8.allSatisfy(Self.isAllowed),
            let capacity = Double(fields[0]), let used = Double(fields[1])
        else { throw .malformed("it must hold two numbers, capacity and use") }
        guard capacity > 0, capacity <= Self.fileMaximum else {
            throw .malformed("capacity must be above 0 and at most \(Int(Self.fileMaximum))")
        }
        guard
            let workload = Workload(
                capacity: UInt32((capacity * 1000).rounded(.up)),
                used: UInt32((min(used, capacity) * 1000).rounded()))
        else { throw .malformed("capacity must be above 0") }
        self = workload
    }
}
