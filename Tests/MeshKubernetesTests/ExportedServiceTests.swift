// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshKubernetes

private func port(_ name: String, _ number: UInt16, _ application: String = "") -> ServicePort {
    ServicePort(name: name, transport: .tcp, port: number, application: application)
}

private func exporter(
    _ cluster: String, at created: UInt64, ports: [ServicePort] = [port("http", 80)],
    isHeadless: Bool = false, isShared: Bool = true, affinity seconds: UInt32 = 0,
    isNodeLocal: Bool = false, distribution: TrafficDistribution = .anywhere,
    labels: Labels = [:], annotations: Labels = [:], families: [IPFamily] = [.ipv4]
) -> ServiceExporter {
    ServiceExporter(
        cluster: ClusterName(rawValue: cluster)!,
        record: ServiceRecord(
            object: ObjectName(namespace: "shop", name: "web"),
            addresses: isHeadless
                ? [] : families.map { Address($0 == .ipv4 ? "10.96.0.1" : "fd00:96::1")! },
            ports: ports, isGlobal: true, isShared: isShared, affinity: .none,
            sessionAffinitySeconds: seconds, isNodeLocal: isNodeLocal, exportedAt: created,
            distribution: distribution,
            exportedMetadata: try! ExportedMetadata(labels: labels, annotations: annotations),
            headlessFamilies: isHeadless ? families : []))
}

private func names(_ service: ExportedService?) -> [String] {
    service?.clusters.map(\.rawValue) ?? []
}

@Suite("A service that several clusters export")
struct ExportedServiceTests {
    @Test("is as the oldest export has it; of equally old ones the first cluster's by name decides")
    func oldestWins() throws {
        let young = exporter("east", at: 20, isHeadless: true)
        let old = exporter("west", at: 10, affinity: 60)
        let merged = try #require(ExportedService([young, old]))
        #expect(!merged.isHeadless && merged.sessionAffinitySeconds == 60)
        #expect(names(merged) == ["west"])
        #expect(merged.conflicts.map(\.reason) == [.type])
        #expect(
            merged.conflicts.map(\.description) == [
                "in cluster east it is headless, unlike in cluster west, whose export is older"
            ])
        let tie = ExportedService([
            exporter("west", at: 10), exporter("east", at: 10, affinity: 60),
        ])
        #expect(tie?.sessionAffinitySeconds == 60)
        #expect(tie?.conflicts.map(\.cluster.rawValue) == ["west"])
    }

    @Test("has the ports of all; of two that contend for a name or a number the younger is dropped")
    func portUnion() throws {
        let merged = try #require(
            ExportedService([
                exporter("a", at: 1, ports: [port("http", 80), port("admin", 9000)]),
                exporter("b", at: 2, ports: [port("http", 8080), port("metrics", 9090)]),
                exporter("c", at: 3, ports: [port("web", 80), port("admin", 9000)]),
            ]))
        #expect(merged.ports == [port("http", 80), port("admin", 9000), port("metrics", 9090)])
        #expect(names(merged) == ["a", "b", "c"])
        #expect(merged.conflicts.map { "\($0.cluster) \($0.reason)" } == ["b port", "c port"])
    }

    @Test("is in conflict about ports as soon as they aren't the same everywhere")
    func differentPorts() throws {
        let oldest = exporter("a", at: 1, ports: [port("http", 80), port("admin", 9000)])
        func conflicts(_ ports: ServicePort...) -> [String]? {
            ExportedService([oldest, exporter("b", at: 2, ports: ports)])?.conflicts.map {
                "\($0)"
            }
        }
        #expect(conflicts(port("admin", 9000), port("http", 80)) == [])
        #expect(
            conflicts(port("http", 80)) == [
                "in cluster b it has the ports http 80/TCP, unlike in cluster a, whose export is older"
            ])
        #expect(conflicts(port("http", 80), port("admin", 9000), port("x", 1))?.count == 1)
    }

    @Test("has no more ports than one cluster's service may have, and names a few of the others")
    func portBound() throws {
        let ports = (1...300).map { port("p\($0)", $0) }
        let merged = try #require(
            ExportedService([
                exporter("a", at: 1, ports: Array(ports[..<200])),
                exporter("b", at: 2, ports: Array(ports[200...])),
            ]))
        #expect(merged.ports == Array(ports[..<256]))
        #expect(
            merged.conflicts.map(\.description) == [
                "in cluster b port p257 257/TCP is one too many: 256 are taken, port p258 258/TCP is "
                    + "one too many: 256 are taken, port p259 259/TCP is one too many: 256 are taken "
                    + "and 41 more, unlike in cluster a, whose export is older"
            ])
    }

    @Test("speaks on a port what the oldest export says")
    func applicationProtocols() throws {
        let merged = try #require(
            ExportedService([
                exporter("b", at: 2, ports: [port("http", 80, "http")]),
                exporter("a", at: 1, ports: [port("http", 80, "kubernetes.io/h2c")]),
            ]))
        #expect(merged.ports == [port("http", 80, "kubernetes.io/h2c")])
        #expect(
            merged.conflicts.map(\.description) == [
                "in cluster b port http 80/TCP (http) contends with http 80/TCP (kubernetes.io/h2c), "
                    + "unlike in cluster a, whose export is older"
            ])
    }

    @Test("has the labels and annotations of the oldest export, all or none of them")
    func metadata() throws {
        let old = exporter("a", at: 1, labels: ["tier": "front"], annotations: ["x": "1"])
        let young = exporter(
            "b", at: 2, labels: ["a": "", "b": "", "c": "", "tier": "back"], annotations: ["x": "2"]
        )
        let merged = try #require(ExportedService([young, old]))
        #expect(merged.metadata == old.record.exportedMetadata)
        #expect(
            merged.conflicts.map(\.reason.rawValue) == ["LabelsConflict", "AnnotationsConflict"])
        #expect(
            merged.conflicts.first?.description
                == "in cluster b exported labels differ in a, b, c and 1 more, unlike in cluster a, "
                + "whose export is older")
        #expect(ExportedService([old, old])?.conflicts == [])
    }

    @Test(
        "is reached by the address families that all have; who has none of them doesn't belong to it",
        arguments: [false, true])
    func families(isHeadless: Bool) throws {
        func merged(_ families: [IPFamily]...) throws -> ExportedService {
            try #require(
                ExportedService(
                    zip(["a", "b", "c"], families).enumerated().map { index, entry in
                        exporter(
                            entry.0, at: UInt64(index + 1), isHeadless: isHeadless,
                            families: entry.1)
                    }))
        }
        let both = try merged([.ipv6, .ipv4], [.ipv4, .ipv6])
        #expect(both.families == [.ipv6, .ipv4] && both.conflicts.isEmpty)
        let narrow = try merged([.ipv4, .ipv6], [.ipv6])
        #expect(narrow.families == [.ipv6] && narrow.conflicts.isEmpty)
        #expect(names(narrow) == ["a", "b"])
        let apart = try merged([.ipv4, .ipv6], [.ipv6], [.ipv4])
        #expect(apart.families == [.ipv6] && names(apart) == ["a", "b"])
        #expect(
            apart.conflicts.map(\.description) == [
                "in cluster c it has no address family but IPv4, unlike in cluster a, whose export "
                    + "is older"
            ])
        #expect(apart.conflicts.map(\.reason.rawValue) == ["IPFamilyConflict"])
        if !isHeadless {
            #expect(try merged([.ipv4, .ipv4], [.ipv4, .ipv4]).families == [.ipv4])
        } else {
            // Agents from before don't say.
            let unsaid = try merged([], [.ipv4], [])
            #expect(unsaid.families == [.ipv4] && unsaid.conflicts.isEmpty)
            #expect(names(unsaid) == ["a", "b", "c"])
        }
    }

    @Test("doesn't count who keeps it for himself, and is none if nobody exports it")
    func notShared() {
        #expect(ExportedService([exporter("a", at: 0)]) == nil)
        #expect(ExportedService([exporter("a", at: 1, isShared: false)]) == nil)
        #expect(names(ExportedService([exporter("a", at: 1), exporter("b", at: 0)])) == ["a"])
    }

    @Test("conflicts about affinity and internal traffic, too, each by the API's name")
    func otherConflicts() throws {
        let oldest = exporter("a", at: 1, affinity: 60)
        func reasons(_ other: ServiceExporter) -> [String]? {
            ExportedService([oldest, other])?.conflicts.map(\.reason.rawValue)
        }
        #expect(reasons(exporter("b", at: 2)) == ["SessionAffinityConflict"])
        #expect(reasons(exporter("b", at: 2, affinity: 90)) == ["SessionAffinityConfigConflict"])
        #expect(
            reasons(exporter("b", at: 2, affinity: 60, isNodeLocal: true)) == [
                "InternalTrafficPolicyConflict"
            ])
        #expect(
            reasons(exporter("b", at: 2, affinity: 60, distribution: .sameZone)) == [
                "TrafficDistributionConflict"
            ])
        #expect(reasons(exporter("b", at: 2, affinity: 60)) == [])
    }
}

@Suite("A ServiceExport's conditions")
struct ExportConditionsTests {
    private let export = ServiceExportManifest(createdAt: 10, generation: 3)

    private func wanted(
        _ export: ServiceExportManifest, _ exporters: [ServiceExporter], isAlias: Bool = false,
        now: UInt64 = 1_795_350_736
    ) -> [ObjectCondition]? {
        ExportConditions.wanted(
            of: export, service: exporters.first?.record, isAlias: isAlias,
            merged: ExportedService(exporters), nowUnixSeconds: now)
    }

    private func texts(_ conditions: [ObjectCondition]?) -> [String] {
        conditions?.map { "\($0.type)=\($0.isTrue ? "True" : "False") \($0.reason)" } ?? []
    }

    @Test("say whether it is valid, exported and in conflict")
    func reasons() {
        #expect(
            texts(wanted(export, [exporter("a", at: 10)])) == [
                "Valid=True Valid", "Ready=True Exported", "Conflict=False NoConflicts",
            ])
        #expect(
            texts(wanted(export, [])) == [
                "Valid=False NoService", "Ready=False Pending", "Conflict=False NoConflicts",
            ])
        #expect(texts(wanted(export, [], isAlias: true)).first == "Valid=False InvalidServiceType")
        #expect(
            texts(
                wanted(
                    export,
                    [
                        exporter("a", at: 10, ports: [port("http", 81)], affinity: 60),
                        exporter("b", at: 5),
                    ])
            ).last == "Conflict=True PortConflict,SessionAffinityConflict")
    }

    @Test("aren't written again while they hold, and keep the time of their last turn")
    func idempotent() throws {
        let exporters = [exporter("a", at: 10)]
        let first = try #require(wanted(export, exporters))
        #expect(first.allSatisfy { $0.since == "2026-11-22T12:32:16Z" && $0.generation == 3 })
        // Whatever order the server keeps them in.
        let written = ServiceExportManifest(
            createdAt: 10, generation: 3, conditions: first.reversed())
        #expect(wanted(written, exporters, now: 1_795_350_800) == nil)
        let later = try #require(
            wanted(written, exporters + [exporter("b", at: 5, affinity: 60)], now: 1_795_350_800))
        #expect(later.map(\.since.last) == ["Z", "Z", "Z"])
        #expect(
            later.map { $0.since == "2026-11-22T12:32:16Z" } == [true, true, false])
    }

    @Test("say no more than 1,024 scalars, whatever another cluster calls its ports")
    func lengths() throws {
        let marks = String(repeating: "\u{301}", count: 1000)
        let exporters = [
            exporter("a", at: 5),
            exporter("b", at: 10, ports: [port("e" + marks, 80), port("f" + marks, 80)]),
        ]
        let message = try #require(wanted(export, exporters)?.last?.message)
        #expect(message.unicodeScalars.count == 1024)
        #expect(message.unicodeScalars.starts(with: "in cluster b port e".unicodeScalars))
    }

    @Test("leave those of others alone, and are patched as the recording has it")
    func patch() throws {
        let other = ObjectCondition(
            type: "Audited", isTrue: true, reason: "Yes", message: "", since: "", generation: 0)
        let conditions = try #require(
            wanted(
                ServiceExportManifest(createdAt: 10, generation: 1, conditions: [other]),
                [exporter("a", at: 10)]))
        #expect(conditions.first == other && conditions.count == 4)
        let text = String(
            decoding: ExportConditions.patch(Array(conditions[1...1])).bytes, as: UTF8.self)
        #expect(
            text == #"{"status":{"conditions":[{"type":"Valid","status":"True","reason":"Valid","#
                + #""message":"","lastTransitionTime":"2026-11-22T12:32:16Z","observedGeneration":1}]}}"#
        )
    }
}
