// SPDX-License-Identifier: Apache-2.0

/// What a node or a cluster can do, and how much of it is in use.
///
/// The unit is anybody's own (millicores by default): only the ratio of the two decides anything, so
/// that clusters with different units get along. Within a cluster all nodes need the same one.
public struct Workload: Hashable, Sendable {
    /// Above zero.
    public let capacity: UInt32
    /// 0...capacity.
    public let used: UInt32

    /// Nil without capacity. What is used beyond it counts as all of it.
    public init?(capacity: UInt32, used: UInt32) {
        guard capacity > 0 else { return nil }
        self.capacity = capacity
        self.used = min(used, capacity)
    }

    public var spare: UInt32 { capacity - used }

    /// 0...1.
    public var share: Double { Double(used) / Double(capacity) }
}

/// The sum of some, and how many they were.
public struct WorkloadSum: Hashable, Sendable {
    private var capacity: UInt64 = 0
    private var used: UInt64 = 0
    public private(set) var count: UInt64 = 0

    public init() {}

    public mutating func add(_ workload: Workload) {
        capacity += UInt64(workload.capacity)
        used += UInt64(workload.used)
        count += 1
    }

    /// Nil of none.
    public var mean: Workload? { scaled(to: 1) }

    /// As if there were `members`, the unknown ones like the mean of the known. Nil if none is known.
    public func scaled(to members: Int) -> Workload? {
        guard count > 0 else { return nil }
        let factor = Double(members) / Double(count)
        var (capacity, used) = (Double(capacity) * factor, Double(used) * factor)
        let excess = capacity / Double(UInt32.max)
        if excess > 1 { (capacity, used) = (capacity / excess, used / excess) }
        return Workload(
            capacity: UInt32(max(capacity.rounded(), 1)), used: UInt32(used.rounded()))
    }
}

// 8 bytes, capacity and use; zeros for nil.
extension ByteWriter {
    public mutating func write(_ workload: Workload?) {
        write(workload?.capacity ?? 0)
        write(workload?.used ?? 0)
    }
}

extension ByteReader {
    public mutating func readWorkload() throws(DecodingFault) -> Workload? {
        Workload(capacity: try read(), used: try read())
    }
}
