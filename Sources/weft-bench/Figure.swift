// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One measured number, and what it is held against.
struct Figure {
    var name: String
    var value: Double?
    var unit: String
    /// The same, measured in the same run without what is judged.
    var baseline: Double?
    /// 1 is as good as the baseline; the benchmark says in which direction it divides.
    var ratio: Double?
    /// `value<=0.9`, `ratio>=0.97`.
    var goal: String?

    init(
        _ name: String, _ value: Double?, _ unit: String, baseline: Double? = nil,
        ratio: Double? = nil, goal: String? = nil
    ) {
        self.name = name
        self.value = value
        self.unit = unit
        self.baseline = baseline
        self.ratio = ratio
        self.goal = goal
    }

    /// Names, units and goals are the benchmarks' own words, without anything to escape.
    var line: String {
        let goal = goal.map { "\"\($0)\"" } ?? "null"
        return "{\"name\":\"\(name)\",\"value\":\(Self.number(value)),\"unit\":\"\(unit)\","
            + "\"baseline\":\(Self.number(baseline)),\"ratio\":\(Self.number(ratio)),"
            + "\"goal\":\(goal)}\n"
    }

    func report() {
        var line = line
        line.withUTF8 { _ = write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }

    /// Five significant digits.
    private static func number(_ value: Double?) -> String {
        guard let value, value.isFinite else { return "null" }
        guard value != 0 else { return "0" }
        let scale = pow(10, 4 - log10(abs(value)).rounded(.down))
        let rounded = scale >= 1 ? (value * scale).rounded() / scale : value.rounded()
        return Int(exactly: rounded).map(String.init) ?? "\(rounded)"
    }
}

/// What was measured several times.
struct Sample {
    private(set) var values: [Double] = []

    init(_ values: [Double] = []) { self.values = values }

    mutating func add(_ value: Double) { values.append(value) }

    var median: Double? {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return nil }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// Nearest rank: one of the values measured.
    func percentile(_ share: Double) -> Double? {
        guard !values.isEmpty else { return nil }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values.sorted()[min(max(rank, 1), values.count) - 1]
    }

    var largest: Double? { values.max() }
}
