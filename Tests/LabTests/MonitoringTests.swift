// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshAdmin
import Testing
import Yams

@testable import MeshAgent
@testable import MeshLab

/// A file of `deploy/`.
private func deployed(_ path: String) -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/\(path)")
}

/// Runs promtool; scripts/bootstrap installs it.
///
/// - Returns: whether it is content, and what it says.
private func promtool(
    _ arguments: String..., input: String = "", in folder: URL? = nil
) throws -> (isContent: Bool, says: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["promtool"] + arguments
    process.currentDirectoryURL = folder
    let (question, answer) = (Pipe(), Pipe())
    process.standardInput = question
    process.standardOutput = answer
    process.standardError = answer
    try process.run()
    // It reads all before it writes more than a pipe holds.
    try question.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try question.fileHandleForWriting.close()
    let says = try answer.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus == 0, String(decoding: says, as: UTF8.self))
}

private struct RuleFile: Decodable {
    struct Group: Decodable {
        let rules: [Rule]
    }
    struct Rule: Decodable {
        let alert: String
        let expr: String
        let labels: [String: String]
        let annotations: [String: String]
    }
    let groups: [Group]
}

private struct Dashboard: Decodable {
    struct Panel: Decodable {
        struct Target: Decodable {
            let expr: String
        }
        let title: String
        let type: String
        let targets: [Target]?
    }
    struct Templating: Decodable {
        struct Variable: Decodable {
            let name: String
            let query: String
        }
        let list: [Variable]
    }
    let uid: String
    let panels: [Panel]
    let templating: Templating
}

@Suite("Rules and dashboards")
struct MonitoringTests {
    private static let metrics: [String: Metric] = Dictionary(
        uniqueKeysWithValues: MetricCatalogue.own.flatMap(\.metrics).flatMap { metric in
            metric.seriesNames.map { ($0, metric) }
        })
    /// Those that Prometheus adds.
    private static let added: Set = ["job", "instance", "le"]

    private static func rules() throws -> [RuleFile.Rule] {
        let text = try String(contentsOf: deployed("prometheus/weft.rules.yaml"), encoding: .utf8)
        return try YAMLDecoder().decode(RuleFile.self, from: text).groups.flatMap(\.rules)
    }

    /// Sentences about what an expression names and nobody exports.
    private func strangers(in expression: String) -> [String] {
        let query = PromQL(expression.replacing("$instance", with: "x"))
        var found = query.metrics.filter { $0 != "up" && Self.metrics[$0] == nil }.map {
            "series \($0)"
        }
        var known = Self.added
        for name in query.metrics { known.formUnion(Self.metrics[name]?.labels.map(\.name) ?? []) }
        found += query.grouped.subtracting(known).map { "label \($0)" }
        for (name, labels) in query.matched {
            let own = Self.added.union(Self.metrics[name]?.labels.map(\.name) ?? [])
            found += labels.subtracting(own).map { "label \($0) of \(name)" }
        }
        return found
    }

    @Test("promtool takes the rules, and its stories of them come true")
    func promtoolAgrees() throws {
        let folder = deployed("prometheus")
        let check = try promtool("check", "rules", "weft.rules.yaml", in: folder)
        #expect(check.isContent, "\(check.says)")
        let test = try promtool("test", "rules", "weft.rules.test.yaml", in: folder)
        #expect(test.isContent, "\(test.says)")
    }

    @Test("every alert has stories, a severity, a summary, a description and what to do")
    func alerts() throws {
        let stories = try String(
            contentsOf: deployed("prometheus/weft.rules.test.yaml"), encoding: .utf8)
        let rules = try Self.rules()
        #expect(rules.count >= 20 && Set(rules.map(\.alert)).count == rules.count)
        for rule in rules {
            #expect(["critical", "warning", "info"].contains(rule.labels["severity"]))
            for note in ["summary", "description", "action"] {
                #expect(rule.annotations[note]?.isEmpty == false, "\(rule.alert) has no \(note)")
            }
            #expect(stories.contains("name: \(rule.alert) fires\n"))
            #expect(stories.contains("name: \(rule.alert) is quiet\n"))
        }
    }

    @Test("rules name only series and labels that agents export")
    func rulesNameWhatIs() throws {
        for rule in try Self.rules() {
            #expect(strangers(in: rule.expr) == [], "\(rule.alert)")
        }
    }

    @Test(
        "dashboards name only series and labels that agents export",
        arguments: ["weft-mesh", "weft-node", "weft-policy"])
    func dashboards(_ name: String) throws {
        let data = try Data(contentsOf: deployed("grafana/\(name).json"))
        let dashboard = try JSONDecoder().decode(Dashboard.self, from: data)
        #expect(dashboard.uid == name)
        for panel in dashboard.panels where panel.type != "row" {
            let targets = panel.targets ?? []
            #expect(!targets.isEmpty, "\(panel.title)")
            for target in targets {
                #expect(strangers(in: target.expr) == [], "\(panel.title)")
                #expect(!PromQL(target.expr).metrics.isEmpty, "\(panel.title)")
            }
        }
        for variable in dashboard.templating.list {
            guard let query = variable.query.wholeMatch(of: /label_values\((\w+), (\w+)\)/)
            else { continue }
            #expect(strangers(in: "\(query.1){\(query.2)=\"\"}") == [], "\(variable.name)")
        }
    }

    @Test("what is named is found, whatever stands around it")
    func words() {
        let query = PromQL(
            #"sum by (a, b) (rate(x_total{k="v}",l=~"m.*"}[5m])) / on (a) y{n!="o"} > 0.5 or vector(0)"#
        )
        #expect(query.metrics == ["x_total", "y"])
        #expect(query.grouped == ["a", "b"])
        #expect(query.matched == ["x_total": ["k", "l"], "y": ["n"]])
        #expect(strangers(in: "rate(weft_gone_total[5m])") == ["series weft_gone_total"])
        #expect(
            strangers(in: #"weft_clusters{cluster="x"}"#) == ["label cluster of weft_clusters"])
    }
}

@Suite("What an agent exports", .tags(.lab, .kernel))
struct ScrapeTests {
    /// Nobody opens a flow, is denied or sends what must be rejected, and there is no API server.
    private static let quiet: Set = [
        "weft_flows_total", "weft_flow_bytes_total", "weft_trust_denials",
        "weft_ledger_rejected_total", "weft_kubernetes_watch_synced", "weft_kubernetes_objects",
        "weft_kubernetes_object_problems", "weft_trust_attestations_total",
    ]

    /// Of a scrape: the names that are declared, and of each sample its name and labels.
    private func read(_ text: String) throws -> (declared: [String], samples: [(String, [String])])
    {
        var declared: [String] = []
        var samples: [(String, [String])] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") {
                declared.append(String(try #require(line.split(separator: " ").dropFirst(2).first)))
            }
            guard !line.hasPrefix("#") else { continue }
            let name = String(line.prefix { $0 != "{" && $0 != " " })
            let labels = line.contains("{") ? Array(PromQL(String(line)).matched[name] ?? []) : []
            samples.append((name, labels))
        }
        return (declared, samples)
    }

    /// - Parameter silent: what may be missing.
    private func judge(
        _ text: String, against metrics: [Metric], silent: Set<String>
    ) throws {
        let catalogue = Dictionary(uniqueKeysWithValues: metrics.map { ($0.name, $0) })
        let series = Dictionary(
            uniqueKeysWithValues: metrics.flatMap { metric in
                metric.seriesNames.map { ($0, metric) }
            })
        let scrape = try read(text)
        for name in scrape.declared { #expect(catalogue[name] != nil, "\(name)") }
        for (name, labels) in scrape.samples {
            let metric = try #require(series[name], "\(name) isn't in the catalogue")
            let known = Set(metric.labels.map(\.name) + (name.hasSuffix("_bucket") ? ["le"] : []))
            #expect(Set(labels) == known, "\(name)")
        }
        #expect(scrape.samples.count <= MetricCatalogue.seriesMaximum)
        for metric in metrics where !silent.contains(metric.name) {
            #expect(scrape.declared.contains(metric.name), "\(metric.name) isn't exported")
        }
    }

    @Test("is the catalogue and nothing else, and promtool has no objection")
    func scrape() async throws {
        try await withLab { lab in
            let alpha = try #require(lab.plan.clusters.first { $0.name == "alpha" }).nodes[0]
            let text = try await awaiting("a denial, capacities and a count", atMost: .seconds(20))
            {
                let text = try await lab.agent(of: alpha).metrics()
                let isWhole =
                    text.contains("weft_cluster_capacity{cluster=\"beta\"}")
                    && text.contains("weft_datapath_map_entries{map=\"weft_connections\"}")
                return isWhole ? text : nil
            }
            try judge(
                text, against: MetricCatalogue.own.flatMap(\.metrics),
                silent: Self.quiet)
            #expect(!text.contains("cilium_"))
            let opinion = try promtool("check", "metrics", input: text)
            #expect(opinion.isContent, "\(opinion.says)")
        }
    }

    @Test(
        "a lost cluster shows: verdict, change, gap; with Cilium's names, too, where that is wished"
    )
    func failover() async throws {
        try await withLab { lab in
            let alpha = try #require(lab.plan.clusters.first { $0.name == "alpha" })
            let node = alpha.nodes[0]
            let file = lab.plan.configurationFile(of: node)
            try await lab.endAgents("alpha/\(node.name)", orderly: true)
            var configuration = try String(contentsOfFile: file, encoding: .utf8)
            configuration += "\nmetrics: {compatibility: cilium}\n"
            try configuration.write(toFile: file, atomically: true, encoding: .utf8)
            try await lab.revive("alpha/\(node.name)")
            let agent = lab.agent(of: node)
            let labels =
                "{source_cluster=\"alpha\",source_node_name=\"\(node.name)\",target_cluster=\"beta\"}"
            let prefix = "cilium_clustermesh_remote_cluster_"
            _ = try await awaiting("beta to be ready", atMost: .seconds(30)) {
                try await agent.metrics().contains("\(prefix)readiness_status\(labels) 1\n")
                    ? true : nil
            }
            try lab.kill("beta")
            let text = try await awaiting("the verdict on beta", atMost: .seconds(10)) {
                let text = try await agent.metrics()
                return text.contains("weft_cluster_verdict{cluster=\"beta\"} 3\n") ? text : nil
            }
            #expect(
                text.contains(
                    "weft_cluster_verdict_changes_total{cluster=\"beta\",verdict=\"unreachable\"} 1\n"
                ))
            #expect(text.contains("weft_clusters{verdict=\"unreachable\"} 1\n"))
            #expect(text.contains("weft_cluster_weight_ratio{cluster=\"beta\"} 0\n"))
            #expect(text.contains("weft_cluster_failover_gap_seconds_count 1\n"))
            #expect(text.contains("\(prefix)readiness_status\(labels) 0\n"))
            #expect(text.contains("\(prefix)failures\(labels) 1\n"))
            #expect(!text.contains("\(prefix)last_failure_ts\(labels) 0\n"))
            #expect(text.contains("cilium_forward_count_total{direction=\"EGRESS\"}"))
            try judge(
                text, against: MetricCatalogue.all,
                silent: Self.quiet)
        }
    }
}
