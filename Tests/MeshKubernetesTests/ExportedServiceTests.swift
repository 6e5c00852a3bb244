// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshKubernetes

private func port(_ name: String, _ number: UInt16) -> ServicePort {
    ServicePort(name: name, transport: .tcp, port: number)
}

private func exporter(
    _ cluster: String, at created: UInt64, ports: [ServicePort] = [port("http", 80)],
    isHeadless: Bool = false, isShared: Bool = true, affinity seconds: UInt32 = 0,
    isNodeLocal: Bool = false
) -> ServiceExporter {
    ServiceExporter(
        cluster: ClusterName(rawValue: cluster)!,
        record: ServiceRecord(
            object: ObjectName(namespace: "shop", name: "web"),
            addresses: isHeadless ? [] : [Address("10.96.0.1")!], ports: ports, isGlobal: true,
            isShared: isShared, affinity: .none, sessionAffinitySeconds: seconds,
            isNodeLocal: isNodeLocal, exportedAt: created))
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
