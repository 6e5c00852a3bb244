// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

@testable import MeshAgent

/// `Metrics.md` of the DocC catalogue, made of the catalogue of metrics.
enum MetricDocumentation {
    static var page: String {
        let total = MetricCatalogue.all.reduce(0) { $0 + $1.seriesMaximum }
        let compatible = MetricCatalogue.compatible.metrics.reduce(0) { $0 + $1.seriesMaximum }
        var text = """
            # Metrics

            Every series that an agent exports, with its unit and its bounds.

            ## Overview

            With `metricsPort: 9100` in its configuration an agent answers `http://127.0.0.1:9100/metrics` in Prometheus' text
            format; its reading socket answers the same, always. Nothing is exported that isn't on this page, which is made
            of the agent's own catalogue (`WEFT_WRITE_DOCS=1 scripts/test --filter MetricCatalogueTests`).

            A node has \(total - compatible) series at most, and \(compatible) more with `metrics: {compatibility: cilium}`, however large
            the mesh grows. Where a label has as many values as the mesh has clusters, *at most* says how many have series of
            their own; the others are one series, labelled `other`, with their sum, or the largest or smallest of them. So is
            what a label's list doesn't name. Clusters come in the order of their numbers, own first; `weft_clusters` counts them all.

            Alert rules and dashboards are in `deploy/`.

            """
        for chapter in MetricCatalogue.own { text += section(chapter) }
        text += section(MetricCatalogue.compatible)
        text += """

            Names, labels and meanings are those of Cilium's documentation. Reasons of drops are Cilium's sentences where both mean
            the same: \(reasons). A packet between two endpoints of one node
            counts as INGRESS once. `source_cluster` and `source_node_name` are this agent's.

            Some of Cilium's series have no counterpart:

            | series | why |
            |---|---|

            """
        for (name, reason) in Metric.withoutCounterpart { text += "| `\(name)` | \(reason) |\n" }
        return text
    }

    private static var reasons: String {
        (Metric.dropReason.values ?? []).filter { Metric.ciliumReason($0) != $0 }
            .map { "`\($0)` is *\(Metric.ciliumReason($0))*" }.joined(separator: ", ")
    }

    private static func section(_ chapter: MetricCatalogue.Chapter) -> String {
        var text = "\n## \(chapter.title)\n"
        for metric in chapter.metrics {
            text += "\n### \(metric.name)\n\n\(metric.help)\n\n"
            text += "\(metric.kind.word.capitalizedFirst), \(unit(metric.unit))"
            text += "; \(metric.seriesMaximum) series at most"
            if metric.labels.contains(where: { $0.values == nil }) {
                text += ": \(metric.limit) of their own, of the rest \(rest(metric.overflow))"
            }
            text += ".\n"
            if case .histogram(let bounds) = metric.kind {
                let list = bounds.map { "\($0)" }.joined(separator: ", ")
                text += "\nBuckets up to \(list) \(metric.unit).\n"
            }
            guard !metric.labels.isEmpty else { continue }
            text += "\n| label | meaning | values |\n|---|---|---|\n"
            for label in metric.labels {
                let values =
                    label.values?.map { "`\($0)`" }.joined(separator: ", ") ?? "grow with the mesh"
                text += "| `\(label.name)` | \(label.meaning) | \(values) |\n"
            }
        }
        return text
    }

    private static func unit(_ unit: Metric.Unit) -> String {
        switch unit {
        case .count: "a count"
        case .number: "a number"
        case .ratio: "0 to 1"
        case .seconds, .bytes, .packets: "in \(unit)"
        }
    }

    private static func rest(_ overflow: Metric.Overflow) -> String {
        switch overflow {
        case .sum: "the sum"
        case .largest: "the largest"
        case .smallest: "the smallest"
        case .omitted: "nothing"
        }
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
