// SPDX-License-Identifier: Apache-2.0

import HeapModule

/// Rules of several tiers → one list of verdicts: a sweep over the ports, with the first rule of
/// every tier and action at hand.
struct Flattener {
    private struct Span {
        let start: UInt32
        let active: Active
        let lane: Int
    }

    /// A rule at the ports that it means, up to `end`.
    private struct Active: Comparable {
        let rule: Int32
        let end: UInt32

        static func < (left: Active, right: Active) -> Bool { left.rule < right.rule }
    }

    private static let actions: [PolicyAction] = [.accept, .deny, .pass]
    private static let lanesPerTier = 2 * actions.count

    private let isolation: ReasonCode?
    private let rules: [PolicyBook.Rule]
    private var spans: [Span] = []

    /// - Parameter rules: of the book.
    init(isolation: ReasonCode?, rules: [PolicyBook.Rule]) {
        self.isolation = isolation
        self.rules = rules
    }

    /// - Parameter isCertain: whether the rule means the peer, or only may.
    mutating func add(
        _ rule: Int32, tier: PolicyTier, action: PolicyAction, isCertain: Bool,
        intervals: [ClosedRange<UInt32>]
    ) {
        let column =
            switch action {
            case .accept: 0
            case .deny: 1
            case .pass: 2
            }
        let lane =
            Int(tier.rawValue) * Self.lanesPerTier + (isCertain ? 0 : Self.actions.count) + column
        for interval in intervals {
            spans.append(
                Span(
                    start: interval.lowerBound,
                    active: Active(rule: rule, end: interval.upperBound),
                    lane: lane))
        }
    }

    /// - Complexity: n log n in the number of intervals that were added.
    consuming func flattened() -> VerdictList {
        spans.sort { $0.start < $1.start }
        var edges: [UInt32] = [0]
        for span in spans {
            edges.append(span.start)
            if span.active.end < PolicyTraffic.lastIndex { edges.append(span.active.end + 1) }
        }
        edges.sort()
        var lanes = [Heap<Active>](
            repeating: Heap(), count: PolicyTier.allCases.count * Self.lanesPerTier)
        var intervals: [VerdictInterval] = []
        var next = 0
        var former: UInt32?
        for edge in edges where edge != former {
            former = edge
            while next < spans.count, spans[next].start == edge {
                lanes[spans[next].lane].insert(spans[next].active)
                next += 1
            }
            for lane in lanes.indices {
                while let first = lanes[lane].min, first.end < edge { lanes[lane].removeMin() }
            }
            let verdict = verdict(lanes)
            if intervals.last?.verdict != verdict {
                intervals.append(VerdictInterval(start: edge, verdict: verdict))
            }
        }
        return VerdictList(intervals: intervals)
    }

    private func verdict(_ lanes: [Heap<Active>]) -> Verdict {
        var walk = TierWalk()
        for tier in PolicyTier.allCases where walk.isOpen {
            let base = Int(tier.rawValue) * Self.lanesPerTier
            var certain: (action: PolicyAction, rule: Int32)?
            for (column, action) in Self.actions.enumerated() {
                if let rule = lanes[base + column].min?.rule, rule < certain?.rule ?? .max {
                    certain = (action, rule)
                }
            }
            var possible: TierWalk.Actions = []
            for (column, action) in Self.actions.enumerated() {
                if let rule = lanes[base + Self.actions.count + column].min?.rule,
                    rule < certain?.rule ?? .max
                {
                    possible.formUnion(TierWalk.Actions(action))
                }
            }
            walk.ask(
                certain: certain.map { ($0.action, rules[Int($0.rule)].code) }, possible: possible,
                isolation: tier == .standard ? isolation : nil)
        }
        return walk.verdict
    }
}
