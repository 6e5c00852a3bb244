// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshDatapath
import MeshModel
import Testing

@testable import MeshAgent
@testable import MeshReachability

@Suite("The catalogue of metrics")
struct MetricCatalogueTests {
    private static let own = MetricCatalogue.own.flatMap(\.metrics)

    @Test("keeps a node below 2,000 series, whatever the size of the mesh")
    func budget() {
        let total = MetricCatalogue.all.reduce(0) { $0 + $1.seriesMaximum }
        #expect(total <= MetricCatalogue.seriesMaximum, "\(total)")
        #expect(MetricCatalogue.all.allSatisfy { $0.limit > 0 }, "an open label needs a limit")
    }

    @Test("names everything once")
    func unique() {
        let names = MetricCatalogue.all.map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test("follows Prometheus' conventions in our own names", arguments: own)
    func conventions(metric: Metric) {
        let name = metric.name
        #expect(name.wholeMatch(of: /(weft|process)(_[a-z]+)+/) != nil)
        #expect((metric.kind == .counter) == name.hasSuffix("_total"), "counters alone end so")
        let base = name.hasSuffix("_total") ? String(name.dropLast("_total".count)) : name
        switch metric.unit {
        case .seconds, .bytes, .ratio, .packets: #expect(base.hasSuffix("_\(metric.unit)"))
        case .count, .number:
            let units = ["seconds", "milliseconds", "bytes", "ratio", "packets", "percent"]
            #expect(!units.contains { base.hasSuffix("_\($0)") })
        }
        // promtool's own: they belong to histograms.
        #expect(!["_count", "_sum", "_bucket", "_info_total"].contains { name.hasSuffix($0) })
        #expect(metric.help.hasSuffix("."))
        for label in metric.labels {
            #expect(label.name.wholeMatch(of: /[a-z_]+/) != nil)
            #expect(!["instance", "job", "le"].contains(label.name), "those are Prometheus' own")
            #expect(label.values?.contains(MetricFamily.other) != true)
        }
    }

    @Test("has Cilium's thirteen cluster mesh series, or says why not")
    func compatible() {
        let exported = Set(Metric.compatible.map(\.name))
        let absent = Set(Metric.withoutCounterpart.map(\.key))
        #expect(exported.isDisjoint(with: absent))
        let remote = ["failures", "nodes", "last_failure_ts", "readiness_status"]
        let server = [
            "bootstrap_seconds", "kvstore_operations_duration_seconds",
            "kvstore_events_queue_seconds", "kvstore_quorum_errors_total",
            "kvstore_sync_errors_total", "kvstore_sync_queue_size",
            "kvstore_initial_sync_completed",
        ]
        let names =
            ["global_services", "remote_clusters"] + remote.map { "remote_cluster_" + $0 }
            + server.map { "apiserver_" + $0 }
        #expect(names.count == 13)
        for name in names {
            let name = "cilium_clustermesh_" + name
            #expect(exported.contains(name) || absent.contains(name), "\(name)")
        }
    }

    @Test("is what the documentation's page says; WEFT_WRITE_DOCS=1 writes it anew")
    func documentation() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/MeshAgent/MeshAgent.docc/Metrics.md")
        if ProcessInfo.processInfo.environment["WEFT_WRITE_DOCS"] != nil {
            try Data(MetricDocumentation.page.utf8).write(to: file)
        }
        let committed = String(decoding: try Data(contentsOf: file), as: UTF8.self)
        #expect(committed == MetricDocumentation.page)
    }

    @Test("is all that a page of metrics can hold, and its counters begin at 0")
    func page() throws {
        var page = MetricPage()
        page.set(Metric("weft_unheard_of", .gauge, .count, "Of nothing."), 1)
        page.set(.backendProbes, 3, "silent")
        #expect(page.families.map(\.metric) == [.backendProbes])
        let text = prometheusText(page.families)
        #expect(text.contains("weft_backend_probes_total{outcome=\"silent\"} 3\n"))
        #expect(text.contains("weft_backend_probes_total{outcome=\"answered\"} 0\n"))
        #expect(!text.contains("other"))
    }
}

@Suite("Figures of health")
struct HealthFiguresTests {
    private func change(_ former: Verdict, _ verdict: Verdict) -> LivenessChange {
        func word(_ verdict: Verdict) -> LivenessWord {
            LivenessWord(
                verdict: verdict, weight: verdict == .up ? 255 : 0, generation: 1)
        }
        return LivenessChange(cluster: cluster(2), word: word(verdict), previous: word(former))
    }

    @Test("a failover's gap is the silence before it, measured once")
    func gap() {
        var figures = HealthFigures()
        figures.note(change(.up, .suspect), silence: .milliseconds(450), atUnixSeconds: 1)
        figures.note(change(.suspect, .unreachable), silence: .seconds(1), atUnixSeconds: 7)
        #expect(figures.gap.count == 1 && figures.gap.sum == 0.45)
        #expect(figures.changes[cluster(2)] == [.suspect: 1, .unreachable: 1])
        #expect(figures.failures[cluster(2)]?.count == 1)
        #expect(figures.failures[cluster(2)]?.lastUnixSeconds == 7)
    }

    @Test("a cluster that drains, or that nobody ever heard, leaves no gap")
    func none() {
        var figures = HealthFigures()
        figures.note(change(.up, .draining), silence: .milliseconds(50), atUnixSeconds: 1)
        figures.note(change(.up, .unreachable), silence: nil, atUnixSeconds: 1)
        #expect(figures.gap.count == 0)
        figures.forget(cluster(2))
        #expect(figures.changes.isEmpty && figures.failures.isEmpty)
    }
}
