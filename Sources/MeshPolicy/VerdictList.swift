// SPDX-License-Identifier: Apache-2.0

/// What becomes of all traffic with one peer in one direction: sorted intervals without gaps.
public struct VerdictList: Hashable, Sendable {
    /// The first begins at 0; each reaches to where the next begins, the last to
    /// ``PolicyTraffic/lastIndex``. Neighbours differ.
    public let intervals: [VerdictInterval]

    /// - Complexity: logarithmic in the number of intervals.
    public func interval(for traffic: PolicyTraffic) -> VerdictInterval {
        let index = traffic.index
        var (low, high) = (0, intervals.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if intervals[middle].start <= index { low = middle } else { high = middle - 1 }
        }
        return intervals[low]
    }

    init(intervals: [VerdictInterval]) { self.intervals = intervals }

    /// With every denial final.
    var settled: VerdictList {
        var settled: [VerdictInterval] = []
        for interval in intervals {
            let verdict = Verdict(
                allows: interval.allows, dependsOnPeer: false, reason: interval.verdict.reason)
            if settled.last?.verdict != verdict {
                settled.append(VerdictInterval(start: interval.start, verdict: verdict))
            }
        }
        return VerdictList(intervals: settled)
    }

    init(_ verdict: Verdict) { intervals = [VerdictInterval(start: 0, verdict: verdict)] }
}

public struct VerdictInterval: Hashable, Sendable {
    /// A ``PolicyTraffic/index``.
    public let start: UInt32
    let verdict: Verdict

    public var allows: Bool { verdict.allows }
    /// For ``PolicyBook/reason(code:)`` of the book that it comes from, or of one that took it over.
    public var reasonCode: Int32 { verdict.reason.rawValue }
    /// Denied as long as the peer isn't known, and perhaps allowed then.
    public var dependsOnPeer: Bool { verdict.dependsOnPeer }
}
