// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshModel

@testable import MeshKubernetes

let multiclusterTargets: [FuzzTarget] = [
    FuzzTarget("multicluster") {
        exports.map { Array($0.utf8) } + [try peers()]
    } check: { bytes in
        var mesh = FuzzMesh()
        for (index, part) in parts(of: bytes).enumerated() {
            try mesh.add(part, number: index)
        }
        try mesh.check()
    },
    FuzzTarget("timestamp") {
        [
            "2026-11-22T12:32:16Z", "1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z",
            "\u{0}\u{1}abcdef",
        ]
        .map { Array($0.utf8) }
    } check: { bytes in
        if let text = String(validating: bytes, as: UTF8.self),
            let seconds = unixSeconds(rfc3339: text)
        {
            try demand(rfc3339(unixSeconds: seconds) == text, "\(text) is \(seconds)")
        }
        // Any number is some time, and after the year 9999 its end.
        let number = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let text = rfc3339(unixSeconds: number)
        let read = unixSeconds(rfc3339: text)
        let wanted = min(number, 253_402_300_799)
        try demand(read == wanted, "\(number) is \(text), which is \(read ?? 0)")
        try demand(systemTime(wanted) == text, "\(number) is \(text)")
    },
]

/// The C library's opinion.
private func systemTime(_ seconds: UInt64) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    var buffer = [CChar](repeating: 0, count: 32)
    let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// One cluster's objects each, or one of its records as it comes over the wire, between `=`; at most four.
private func parts(of bytes: [UInt8]) -> [[UInt8]] {
    bytes.split(
        separator: UInt8(ascii: "="), maxSplits: 3, omittingEmptySubsequences: false
    ).map { Array($0) }
}

/// Clusters that export what their manifests say, and what an API server would be told of it.
private struct FuzzMesh {
    private var exporters: [ObjectName: [ServiceExporter]] = [:]
    private var slices: [ObjectName: [ImportedSlice]] = [:]
    private var exports: [ServiceExportManifest] = []

    mutating func add(_ bytes: [UInt8], number: Int) throws {
        guard let cluster = ClusterName(rawValue: "cluster-\(number)")
        else { throw BrokenProperty("\(number) is no cluster") }
        // What a peer's ledger holds needn't come from a manifest.
        if let record = try? ServiceRecord(encoded: bytes) {
            exporters[record.object, default: []].append(
                ServiceExporter(cluster: cluster, record: record))
        } else if let record = try? SliceRecord(encoded: bytes) {
            add(record, of: cluster)
        } else {
            try add(ManifestFile(bytes: bytes), of: cluster)
        }
    }

    private mutating func add(_ slice: SliceRecord, of cluster: ClusterName) {
        let service = ObjectName(namespace: slice.object.namespace, name: slice.service)
        slices[service, default: []].append(
            ImportedSlice(cluster: cluster, record: slice, zones: ["node-1": "a"]))
    }

    private mutating func add(_ file: ManifestFile, of cluster: ClusterName) throws {
        var found: [ObjectName: ServiceExportManifest] = [:]
        for case .export(let name, let export) in file.objects.values.map(\.content) {
            found[name] = export
            exports.append(export)
        }
        for case .record(let key, let encoded) in file.objects.values.map(\.content) {
            switch key.kind {
            case .service:
                let record = try ServiceRecord(encoded: encoded)
                guard let export = found[record.object] else { continue }
                let exported = record.exported(by: export)
                try demand(exported.exportedAt > 0, "\(exported) isn't exported")
                // What a manifest may say other clusters must understand.
                try demand(
                    try ServiceRecord(encoded: exported.encoded) == exported, "\(exported)")
                exporters[record.object, default: []].append(
                    ServiceExporter(cluster: cluster, record: exported))
            case .slice: add(try SliceRecord(encoded: encoded), of: cluster)
            default: break
            }
        }
    }

    func check() throws {
        let services = try exporters.sorted { $0.key < $1.key }.compactMap { name, exporters in
            let merged = ExportedService(exporters)
            try demand(
                merged == ExportedService(exporters.reversed()), "\(name) depends on the order")
            if let merged { try Self.check(merged, of: exporters) }
            return merged.map {
                ImportedService(
                    service: name, exported: $0,
                    addresses: [Address(ipv4: 0x0a09_0909), Address(high: 0xfd00 << 48, low: 9)],
                    slices: $0.isHeadless ? slices[name] ?? [] : [])
            }
        }
        var plan = ImportPlan(version: "v1beta1")
        func steps(present: Set<ImportPlan.Target>) -> [ImportPlan.Step] {
            plan.steps(
                to: services, present: present, maximum: .max, at: .zero, nowUnixSeconds: 7)
        }
        let first = steps(present: [])
        for step in first {
            guard case .apply(let target, let body) = step
            else { throw BrokenProperty("\(step) deletes what isn't there") }
            let value = try JSONValue(body)
            try demand(value.bytes == body, "\(step) is written in two ways")
            if target.part == nil { try Self.check(value, target) }
            plan.done(step)
        }
        let again = steps(present: Set(first.map(\.target.whole)))
        try demand(again.isEmpty, "\(again) a second time")
        for export in exports {
            let merged = exporters.values.first.flatMap { ExportedService($0) }
            let service = exporters.values.first?.first?.record
            guard
                let wanted = ExportConditions.wanted(
                    of: export, service: service, isAlias: false, merged: merged,
                    nowUnixSeconds: 7)
            else { continue }
            let written = ServiceExportManifest(
                createdAt: export.createdAt, generation: export.generation,
                metadata: export.metadata, conditions: wanted)
            try demand(
                ExportConditions.wanted(
                    of: written, service: service, isAlias: false, merged: merged,
                    nowUnixSeconds: 8) == nil, "conditions are written twice: \(wanted)")
        }
    }

    private static func check(_ merged: ExportedService, of exporters: [ServiceExporter]) throws {
        try demand(!merged.clusters.isEmpty, "nobody's service")
        try demand(
            Set(merged.families).count == merged.families.count, "families \(merged.families)")
        for exporter in exporters where merged.clusters.contains(exporter.cluster) {
            let families = exporter.record.families
            try demand(
                families.isEmpty || merged.families.allSatisfy { families.contains($0) },
                "\(exporter.cluster) isn't reached by \(merged.families)")
        }
        try demand(
            merged.conflicts.allSatisfy { $0.cluster != $0.inForce }, "in conflict with itself")
        try demand(
            Set(merged.ports.map(\.name)).count == merged.ports.count, "names \(merged.ports)")
        let numbers = merged.ports.map { "\($0.port)/\($0.transport)" }
        try demand(Set(numbers).count == numbers.count, "numbers \(merged.ports)")
    }

    /// What any API server asks of an object.
    private static func check(_ value: JSONValue, _ target: ImportPlan.Target) throws {
        let metadata = value["metadata"]
        let labels = metadata["labels"].members
        try demand(
            labels.contains { $0.value == .string(ImportPlan.manager) }, "\(target) isn't marked")
        for label in labels {
            let text = label.value.text ?? "?"
            try demand(
                isQualifiedName(label.key) && (text.isEmpty || isLabelText(text)), "\(label)")
        }
        for annotation in metadata["annotations"].members {
            try demand(isQualifiedName(annotation.key.lowercased()), annotation.key)
        }
        try demand(
            isLabel(target.name.namespace) && isLabel(target.name.name), "\(target.name)")
        let ports = value["spec"]["ports"].items
        try demand(ports.count <= RecordLimit.ports, "\(ports.count) ports")
        for port in ports {
            try demand(port["name"].text.map { isLabel($0) } ?? true, "\(port)")
            try demand(port["port"] != .number("0"), "\(port)")
        }
        if target.resource == .services, ports.count > 1 {
            let names = ports.map { $0["name"].text ?? "" }
            try demand(Set(names).count == names.count && !names.contains(""), "\(names)")
        }
        for endpoint in value["endpoints"].items {
            let family = value["addressType"].text.flatMap { IPFamily($0) }
            try demand(
                endpoint["addresses"].items.allSatisfy {
                    $0.text.flatMap { Address($0) }?.family == family
                }, "\(endpoint) of \(String(describing: family))")
        }
    }
}

/// A headless service and its endpoints, as two clusters' records.
private func peers() throws -> [UInt8] {
    let object = ObjectName(namespace: "default", name: "db")
    let port = ServicePort(name: "pg", transport: .tcp, port: 5432, application: "pg")
    let service = ServiceRecord(
        object: object, addresses: [], ports: [port], isGlobal: true, isShared: true,
        affinity: .none, sessionAffinitySeconds: 0, exportedAt: 7,
        exportedMetadata: try ExportedMetadata(labels: ["tier": "back"], annotations: ["a": "b c"]),
        headlessFamilies: [.ipv4])
    let slice = SliceRecord(
        object: object, service: "db", ports: [port],
        endpoints: [
            SliceEndpoint(
                addresses: [Address(ipv4: 0x0a02_0001)], isReady: true, isServing: true,
                isTerminating: false, node: "node-1", hostname: "db-0")
        ])
    return Array([service.encoded, slice.encoded].joined(separator: "=".utf8))
}

private let exports = [
    """
    apiVersion: v1
    kind: Service
    metadata: {name: web}
    spec:
      clusterIPs: [10.96.0.7, "fd00::7"]
      sessionAffinity: ClientIP
      trafficDistribution: PreferClose
      ports:
      - {name: web, port: 80, appProtocol: kubernetes.io/h2c}
      - {name: dns, port: 53, protocol: UDP}
    ---
    apiVersion: multicluster.x-k8s.io/v1beta1
    kind: ServiceExport
    metadata: {name: web, generation: 2, creationTimestamp: 2026-11-22T12:32:16Z}
    spec: {exportedLabels: {tier: front}, exportedAnnotations: {example.com/a: "b c"}}
    status: {conditions: [{type: Valid, status: "False", lastTransitionTime: "x"}]}
    ---
    =
    apiVersion: v1
    kind: Service
    metadata: {name: web}
    spec: {clusterIP: 10.97.0.7, internalTrafficPolicy: Local, ports: [{port: 81}]}
    ---
    apiVersion: multicluster.x-k8s.io/v1alpha1
    kind: ServiceExport
    metadata: {name: web}
    """,
    """
    apiVersion: v1
    kind: Service
    metadata: {name: db}
    spec: {clusterIP: None, ipFamilies: [IPv6, IPv4], ports: [{port: 5432, appProtocol: pg}]}
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
    addressType: IPv6
    ports: [{port: 5432, appProtocol: pg}]
    endpoints:
    - {addresses: ["fd00:1::1"], hostname: db-0, nodeName: node-1, zone: a}
    ---
    apiVersion: multicluster.x-k8s.io/v1beta1
    kind: ServiceExport
    metadata: {name: db, creationTimestamp: "2026-11-22T12:32:16Z"}
    ---
    =
    apiVersion: v1
    kind: Service
    metadata: {name: db}
    spec: {clusterIP: None, ipFamilies: [IPv4], ports: []}
    ---
    apiVersion: multicluster.x-k8s.io/v1beta1
    kind: ServiceExport
    metadata: {name: db, creationTimestamp: "2026-11-22T12:32:15Z"}
    """,
]
