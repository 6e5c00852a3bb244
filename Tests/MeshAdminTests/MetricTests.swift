// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@Suite("Metrics")
struct MetricTests {
    private func perCluster(
        _ kind: Metric.Kind, limit: Int, _ overflow: Metric.Overflow
    ) -> Metric {
        Metric(
            "weft_c", kind, .count, "C.",
            labels: [
                Metric.Label("kind", "Kind.", values: ["a", "b"]),
                Metric.Label(open: "cluster", "Cluster."),
            ], limit: limit, overflow: overflow)
    }

    @Test("in Prometheus' text format, quotes and newlines escaped")
    func text() {
        let labels = [Metric.Label(open: "x", "X."), Metric.Label(open: "y", "Y.")]
        var distribution = Distribution([0.5, 1])
        for value in [0.25, 0.5, 0.75, 4] { distribution.observe(value) }
        let families = [
            MetricFamily(
                Metric(
                    "weft_a_total", .counter, .count, "A \\ \"b\"\nc", labels: labels, limit: 1),
                [.init(7, "q\"\\\n", "1")]),
            MetricFamily(Metric("weft_b", .gauge, .number, "B"), [.init(.infinity)]),
            MetricFamily(Metric("weft_c", .gauge, .number, "C"), [.init(-0.5)]),
            MetricFamily(
                Metric("weft_d_seconds", .histogram([0.5, 1]), .seconds, "D"),
                [.init(distribution)]),
            MetricFamily(Metric("weft_silent", .gauge, .number, "Without a value"), []),
        ]
        let expected = #"""
            # HELP weft_a_total A \\ "b"\nc
            # TYPE weft_a_total counter
            weft_a_total{x="q\"\\\n",y="1"} 7
            # HELP weft_b B
            # TYPE weft_b gauge
            weft_b +Inf
            # HELP weft_c C
            # TYPE weft_c gauge
            weft_c -0.5
            # HELP weft_d_seconds D
            # TYPE weft_d_seconds histogram
            weft_d_seconds_bucket{le="0.5"} 2
            weft_d_seconds_bucket{le="1"} 3
            weft_d_seconds_bucket{le="+Inf"} 4
            weft_d_seconds_sum 5.5
            weft_d_seconds_count 4

            """#
        #expect(prometheusText(families) == expected)
    }

    @Test(
        "beyond the limit clusters are one series, each kind for itself",
        arguments: [(Metric.Overflow.sum, 9.0), (.largest, 6), (.smallest, 3)])
    func overflow(_ overflow: Metric.Overflow, expected: Double) {
        let metric = perCluster(.counter, limit: 2, overflow)
        let family = MetricFamily(
            metric,
            [
                .init(1, "a", "c1"), .init(2, "b", "c1"), .init(3, "a", "c2"),
                .init(6, "a", "c3"), .init(9, "b", "c3"),
            ])
        #expect(
            family.samples.map(\.labels) == [
                ["a", "c1"], ["b", "c1"], ["a", "other"], ["b", "other"],
            ])
        #expect(family.samples[2].value == .number(expected))
        #expect(family.samples.count <= metric.seriesMaximum)
    }

    @Test("where nothing can be said of the rest, nothing is")
    func omitted() {
        let family = MetricFamily(
            perCluster(.gauge, limit: 1, .omitted), [.init(1, "a", "c1"), .init(2, "a", "c2")])
        #expect(family.samples == [.init(1, "a", "c1")])
    }

    @Test("a value that the list doesn't have is among the others")
    func unlisted() {
        let metric = Metric(
            "weft_e_total", .counter, .count, "E.",
            labels: [Metric.Label("kind", "Kind.", values: ["a"])])
        let family = MetricFamily(metric, [.init(1, "x"), .init(1, "a"), .init(2, "y")])
        #expect(family.samples == [.init(3, "other"), .init(1, "a")])
        #expect(metric.seriesMaximum == 2)
    }

    @Test("however many clusters there are, the limit holds")
    func bound() {
        let metric = perCluster(.counter, limit: 10, .sum)
        let samples = (0..<1_000).map {
            MetricFamily.Sample(1, $0 % 2 == 0 ? "a" : "b", "c\($0)")
        }
        let family = MetricFamily(metric, samples)
        #expect(family.samples.count == 12)
        #expect(metric.seriesMaximum == 13, "and one for what no list has")
    }
}
