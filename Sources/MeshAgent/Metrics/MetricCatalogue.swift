// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

/// Everything an agent exports; nothing else gets into a scrape. The documentation's page is made of
/// this.
enum MetricCatalogue {
    struct Chapter: Sendable {
        let title: String
        let metrics: [Metric]
    }

    /// Clusters that have series of their own, in each metric by cluster.
    static let clusters = 40
    /// Series of one node; a test adds up the catalogue's limits, the compatible ones included.
    static let seriesMaximum = 2_000

    static let own: [Chapter] = [
        Chapter(title: "Agent", metrics: Metric.ofAgent),
        Chapter(title: "Clusters and nodes", metrics: Metric.ofClusters),
        Chapter(title: "Backends", metrics: Metric.ofBackends),
        Chapter(title: "State", metrics: Metric.ofState),
        Chapter(title: "Kubernetes", metrics: Metric.ofObjects),
        Chapter(title: "Datapath", metrics: Metric.ofDatapath),
        Chapter(title: "Flows", metrics: Metric.ofFlows),
        Chapter(title: "Policies", metrics: Metric.ofPolicies),
        Chapter(title: "Trust", metrics: Metric.ofTrust),
        Chapter(title: "Transport and gossip", metrics: Metric.ofTransport),
    ]
    /// With `metrics: {compatibility: cilium}`.
    static let compatible = Chapter(
        title: "Series of Cilium's names", metrics: Metric.compatible)

    static let all: [Metric] = own.flatMap(\.metrics) + compatible.metrics
}

extension Metric.Label {
    static func cluster(_ meaning: String = "Name of the cluster.") -> Metric.Label {
        Metric.Label(open: "cluster", meaning)
    }
}

/// What is exported at one moment, in the catalogue's order.
struct MetricPage {
    private var samples: [String: [MetricFamily.Sample]] = [:]

    mutating func set(_ metric: Metric, _ value: some BinaryInteger, _ label: String) {
        add(metric, MetricFamily.Sample(Double(value), label))
    }

    mutating func set(_ metric: Metric, _ value: some BinaryInteger) {
        add(metric, MetricFamily.Sample(Double(value)))
    }

    mutating func set(_ metric: Metric, _ isTrue: Bool) {
        add(metric, MetricFamily.Sample(isTrue ? 1 : 0))
    }

    mutating func set(_ metric: Metric, _ distribution: Distribution) {
        add(metric, MetricFamily.Sample(distribution))
    }

    /// Has a counter exported from its zeros on.
    mutating func begin(_ metric: Metric) { samples[metric.name, default: []] += [] }

    mutating func add(_ metric: Metric, _ sample: MetricFamily.Sample) {
        samples[metric.name, default: []].append(sample)
    }

    var families: [MetricFamily] {
        MetricCatalogue.all.compactMap { metric in
            samples[metric.name].map { MetricFamily(metric, $0 + Self.zeros(of: metric)) }
        }
    }

    /// A counter that first appears with a 1 has not increased, in Prometheus' eyes.
    private static func zeros(of metric: Metric) -> [MetricFamily.Sample] {
        guard metric.kind == .counter, metric.labels.count == 1, let label = metric.labels.first
        else { return [] }
        return (label.values ?? []).map { MetricFamily.Sample(0, $0) }
    }
}
