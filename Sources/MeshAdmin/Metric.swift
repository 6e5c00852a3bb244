// SPDX-License-Identifier: Apache-2.0

/// An entry of an agent's catalogue of metrics: what is exported under a name, and how much of it at
/// most. A ``MetricFamily`` is made of one, and of nothing else.
public struct Metric: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case counter, gauge
        /// Upper bounds of the buckets, ascending, in the metric's unit; one above all is added.
        case histogram([Double])
    }

    /// Prometheus' base units, and what is only counted.
    public enum Unit: String, Sendable {
        case seconds, bytes, ratio, packets, count
        /// A number with a meaning of its own, which the help tells.
        case number
    }

    public struct Label: Hashable, Sendable {
        public let name: String
        public let meaning: String
        /// Every value there is; nil for what grows with the mesh.
        public let values: [String]?

        /// A label with these values and ``MetricFamily/other``.
        public init(_ name: String, _ meaning: String, values: [String]) {
            self.name = name
            self.meaning = meaning
            self.values = values
        }

        /// A label whose values nobody can list beforehand.
        public init(open name: String, _ meaning: String) {
            self.name = name
            self.meaning = meaning
            values = nil
        }
    }

    /// What becomes of samples beyond the limit.
    public enum Overflow: String, Sendable {
        /// One sample says their sum, under ``MetricFamily/other``.
        case sum
        case largest
        case smallest
        /// They aren't exported: nothing sensible could be said of them together.
        case omitted
    }

    public let name: String
    public let kind: Kind
    public let unit: Unit
    public let help: String
    public let labels: [Label]
    /// Combinations of labels, those with ``MetricFamily/other`` not counted.
    public let limit: Int
    public let overflow: Overflow

    /// - Parameter limit: needed with an open label; otherwise the labels' values are the limit.
    public init(
        _ name: String, _ kind: Kind, _ unit: Unit, _ help: String, labels: [Label] = [],
        limit: Int? = nil, overflow: Overflow = .sum
    ) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.help = help
        self.labels = labels
        self.limit = limit ?? labels.reduce(1) { $0 * ($1.values?.count ?? 0) }
        self.overflow = overflow
    }

    /// No node exports more of this one.
    public var seriesMaximum: Int {
        let others =
            labels.isEmpty || overflow == .omitted
            ? 0 : labels.reduce(1) { $0 * (($1.values?.count ?? 0) + 1) } - (isOpen ? 0 : limit)
        switch kind {
        case .counter, .gauge: return limit + others
        // The bucket above all, the sum and the count.
        case .histogram(let bounds): return (limit + others) * (bounds.count + 3)
        }
    }

    private var isOpen: Bool { labels.contains { $0.values == nil } }

    /// Names of its series: a histogram has several.
    public var seriesNames: [String] {
        switch kind {
        case .counter, .gauge: [name]
        case .histogram: ["_bucket", "_sum", "_count"].map { name + $0 }
        }
    }
}

/// What was measured many times, in buckets.
public struct Distribution: Hashable, Sendable {
    /// Upper bounds of the buckets, ascending.
    public let bounds: [Double]
    /// One more than bounds: the last bucket has what is above all.
    public private(set) var counts: [UInt64]
    public private(set) var sum = 0.0

    public init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    public mutating func observe(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }

    public var count: UInt64 { counts.reduce(0, +) }
}
