// SPDX-License-Identifier: Apache-2.0

/// A metric and its values now, no more than its limit allows.
public struct MetricFamily: Hashable, Sendable {
    /// The label of what goes beyond a limit, or isn't among a label's values.
    public static let other = "other"

    public enum Value: Hashable, Sendable {
        case number(Double)
        case distribution(Distribution)
    }

    public struct Sample: Hashable, Sendable {
        /// Values of the metric's labels, in their order.
        public let labels: [String]
        public fileprivate(set) var value: Value

        public init(_ value: Double, _ labels: String...) {
            self.init(value, labels)
        }

        public init(_ value: Double, _ labels: [String]) {
            self.init(value: .number(value), labels: labels)
        }

        public init(_ distribution: Distribution) {
            self.init(value: .distribution(distribution), labels: [])
        }

        fileprivate init(value: Value, labels: [String]) {
            self.value = value
            self.labels = labels
        }
    }

    public let metric: Metric
    public private(set) var samples: [Sample] = []
    private var places: [[String]: Int] = [:]
    private var taken = 0

    /// - Parameter samples: those first that matter most: the last ones are beyond the limit. Of equal
    ///   labels counts are added.
    public init(_ metric: Metric, _ samples: [Sample]) {
        self.metric = metric
        for sample in samples { add(sample) }
    }

    private mutating func add(_ sample: Sample) {
        precondition(sample.labels.count == metric.labels.count, "\(metric.name): labels")
        if metric.labels.indices.allSatisfy({ isKnown(sample.labels[$0], at: $0) }) {
            if let place = places[sample.labels] { return merge(sample.value, at: place) }
            guard taken == metric.limit else {
                taken += 1
                return append(sample)
            }
        }
        guard metric.overflow != .omitted else { return }
        let labels = metric.labels.indices.map { index in
            metric.labels[index].values != nil && isKnown(sample.labels[index], at: index)
                ? sample.labels[index] : Self.other
        }
        if let place = places[labels] { return merge(sample.value, at: place) }
        append(Sample(value: sample.value, labels: labels))
    }

    /// Whether it may stand there as it is; of an open label, anything may.
    private func isKnown(_ value: String, at index: Int) -> Bool {
        metric.labels[index].values?.contains(value) ?? true
    }

    private mutating func append(_ sample: Sample) {
        places[sample.labels] = samples.count
        samples.append(sample)
    }

    private mutating func merge(_ value: Value, at place: Int) {
        samples[place].value = merged(samples[place].value, value)
    }

    private func merged(_ one: Value, _ other: Value) -> Value {
        guard case .number(let one) = one, case .number(let other) = other else { return other }
        switch metric.overflow {
        case .sum: return .number(one + other)
        case .largest: return .number(max(one, other))
        case .smallest: return .number(min(one, other))
        case .omitted: return .number(one)
        }
    }
}

/// Prometheus' text format 0.0.4.
/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
public func prometheusText(_ families: [MetricFamily]) -> String {
    var text = ""
    for family in families where !family.samples.isEmpty {
        let metric = family.metric
        text += "# HELP \(metric.name) \(escape(metric.help, quotes: false))\n"
        text += "# TYPE \(metric.name) \(metric.kind.word)\n"
        for sample in family.samples {
            let labels = zip(metric.labels, sample.labels).map { ($0.name, $1) }
            switch sample.value {
            case .number(let value): text += line(metric.name, labels, value)
            case .distribution(let distribution):
                var count: UInt64 = 0
                for (index, bound) in (distribution.bounds + [.infinity]).enumerated() {
                    count += distribution.counts[index]
                    text += line(
                        metric.name + "_bucket", labels + [("le", number(bound))], Double(count))
                }
                text += line(metric.name + "_sum", labels, distribution.sum)
                text += line(metric.name + "_count", labels, Double(count))
            }
        }
    }
    return text
}

private func line(_ name: String, _ labels: [(String, String)], _ value: Double) -> String {
    guard !labels.isEmpty else { return "\(name) \(number(value))\n" }
    let pairs = labels.map { "\($0.0)=\"\(escape($0.1, quotes: true))\"" }
    return "\(name){\(pairs.joined(separator: ","))} \(number(value))\n"
}

extension Metric.Kind {
    /// As the text format calls it.
    public var word: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}

private func escape(_ text: String, quotes: Bool) -> String {
    guard text.utf8.contains(where: { $0 == 0x5c || $0 == 0x0a || $0 == 0x22 }) else { return text }
    return text.reduce(into: "") { result, character in
        switch character {
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\"" where quotes: result += "\\\""
        default: result.append(character)
        }
    }
}

private func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int64(exactly: value).map(String.init) ?? String(value)
}
