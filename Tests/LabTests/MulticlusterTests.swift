// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import Testing

@testable import MeshLab

/// The multi-cluster API between three API servers: nothing but ServiceExports shares a service.
@Suite(.tags(.lab), .serialized) struct MulticlusterTests {
    /// `api` has backends in every cluster and is global in none.
    private static var file: LabFile {
        var file = LabFile.builtIn
        for index in file.clusters.indices { file.clusters[index].apiServer = true }
        file.clusters[0].nodes = .count(3)
        file.services = [
            LabFile.Service(
                name: "api", namespace: "demo", selector: ["app": "web"],
                ports: [LabFile.Port(name: "http", port: 80, targetPort: 8080)], global: false)
        ]
        return file
    }

    private static func export(_ service: String, at time: String) -> String {
        """
        apiVersion: multicluster.x-k8s.io/v1beta1
        kind: ServiceExport
        metadata: {name: \(service), namespace: demo, creationTimestamp: "\(time)"}

        """
    }

    /// An object as the API server of a cluster has it; only what is looked at.
    private struct Object: Decodable {
        struct Metadata: Decodable {
            let name: String
            let labels: [String: String]?
        }
        struct Port: Decodable {
            let port: Int
            let appProtocol: String?
        }
        struct Spec: Decodable {
            let type: String?
            let ips: [String]?
            let ipFamilies: [String]?
            let clusterIPs: [String]?
            let ports: [Port]?
            let sessionAffinity: String?
        }
        struct Status: Decodable {
            struct Condition: Decodable {
                let type: String
                let status: String
                let reason: String
            }
            struct Cluster: Decodable {
                let cluster: String
            }
            let conditions: [Condition]?
            let clusters: [Cluster]?
        }
        struct Endpoint: Decodable {
            let addresses: [String]
            let hostname: String?
        }
        let kind: String
        let metadata: Metadata
        let spec: Spec?
        let status: Status?
        let ports: [Port]?
        let endpoints: [Endpoint]?

        var conditions: Set<String> {
            Set((status?.conditions ?? []).map { "\($0.type)=\($0.status) \($0.reason)" })
        }
    }

    /// A line of what the API server wrote down.
    private struct Write: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String
        }
        let deleted: Name?
    }

    /// Objects of a kind as they are now. Names are unique enough here.
    private func objects(
        _ kind: String, in cluster: LabPlan.Cluster, _ lab: Lab
    ) throws -> [Object] {
        let server = LabAPIServer(plan: lab.plan, cluster: cluster)
        let text = try LabFolder.read(server.state)
        var objects: [String: Object] = [:]
        // The last line may be half written.
        let complete = text[..<(text.lastIndex(of: "\n") ?? text.startIndex)]
        for line in complete.split(separator: "\n") {
            if let deleted = try decode(Write.self, String(line)).deleted {
                if deleted.kind == kind { objects[deleted.name] = nil }
            } else {
                let object = try decode(Object.self, String(line))
                if object.kind == kind { objects[object.metadata.name] = object }
            }
        }
        return objects.values.sorted { $0.metadata.name < $1.metadata.name }
    }

    private func awaitObject(
        _ kind: String, _ name: String, in cluster: LabPlan.Cluster, _ lab: Lab,
        where isWanted: (Object) -> Bool = { _ in true }
    ) async throws -> Object {
        try await awaiting("\(kind) \(name) in \(cluster.name)", atMost: .seconds(40)) {
            try objects(kind, in: cluster, lab).first {
                $0.metadata.name.hasPrefix(name) && isWanted($0)
            }
        }
    }

    private func write(_ text: String?, _ name: String, in cluster: LabPlan.Cluster, _ lab: Lab)
        throws
    {
        let path = "\(LabAPIServer(plan: lab.plan, cluster: cluster).objects)/\(name).yaml"
        if let text { try LabFolder.write(text, to: path) } else { try LabFolder.remove(path) }
    }

    @Test("an exported service gets an address in a third cluster, and goes with its last export")
    func exported() async throws {
        try await withLab(Self.file) { lab in
            let (alpha, beta, gamma) = (
                lab.plan.clusters[0], lab.plan.clusters[1], lab.plan.clusters[2]
            )
            try write(Self.export("api", at: "2026-01-02T00:00:00Z"), "export", in: beta, lab)
            try write(Self.export("api", at: "2026-01-01T00:00:00Z"), "export", in: gamma, lab)
            try write(Self.export("nothing", at: "2026-01-01T00:00:00Z"), "none", in: gamma, lab)
            let imported = try await awaitObject("ServiceImport", "api", in: alpha, lab) {
                $0.spec?.ips?.isEmpty == false && $0.status?.clusters?.count == 2
                    && $0.conditions == ["Ready=True Ready"]
            }
            #expect(imported.spec?.type == "ClusterSetIP")
            #expect(imported.spec?.ports?.map(\.port) == [80])
            #expect(imported.status?.clusters?.map(\.cluster) == ["beta", "gamma"])
            let derived = try await awaitObject("Service", "derived-", in: alpha, lab)
            #expect(derived.spec?.clusterIPs == imported.spec?.ips)
            #expect(derived.metadata.labels?["multicluster.kubernetes.io/service-name"] == "api")
            let valid: Set = [
                "Valid=True Valid", "Ready=True Exported", "Conflict=False NoConflicts",
            ]
            for cluster in [beta, gamma] {
                _ = try await awaitObject("ServiceExport", "api", in: cluster, lab) {
                    $0.conditions == valid
                }
            }
            _ = try await awaitObject("ServiceExport", "nothing", in: gamma, lab) {
                $0.conditions.contains("Valid=False NoService")
            }

            // The clusterset's address leads to those that export; the service's own stays at home.
            let address = try #require(imported.spec?.ips?.first)
            _ = try await awaiting("the import in alpha's kernel", atMost: .seconds(20)) {
                let rows = try await lab.agent(of: alpha.first).services()
                return rows.contains {
                    $0.address == address && $0.state == .done
                        && Set($0.slices.map(\.cluster.name)) == ["beta", "gamma"]
                } ? true : nil
            }
            let abroad = try await lab.load(
                from: "alpha/client", "http://\(address)/", for: .seconds(1), "--interval", "5ms")
            #expect(abroad.failures.isEmpty && Set(abroad.shares.keys) == ["beta", "gamma"])
            let own = try #require(lab.plan.services.first?.addresses["alpha"]?.first)
            let home = try await lab.load(
                from: "alpha/client", "http://\(own)/", for: .seconds(1), "--interval", "5ms")
            #expect(home.failures.isEmpty && Set(home.shares.keys) == ["alpha"])

            // The younger export contradicts the older one, which decides.
            let files = LabManifests(plan: lab.plan).files(of: beta)
            let name = "\(beta.first.name)-service-demo-api"
            let sticky = try #require(files["\(name).yaml"]).replacing(
                "  selector:", with: "  sessionAffinity: ClientIP\n  selector:")
            try write(sticky, name, in: beta, lab)
            for cluster in [beta, gamma] {
                _ = try await awaitObject("ServiceExport", "api", in: cluster, lab) {
                    $0.conditions.contains("Conflict=True SessionAffinityConflict")
                }
            }
            #expect(
                try objects("ServiceImport", in: alpha, lab).map(\.spec?.sessionAffinity) == [
                    "None"
                ])

            // Nobody but the publisher has written any of it.
            let log = try LabFolder.read(lab.plan.logOfAPIServer(of: alpha))
            let writers = Set(
                log.split(separator: "\n").filter { $0.contains("/serviceimports/") }.compactMap {
                    $0.split(separator: " ").first { $0.hasPrefix("uid=") }
                })
            #expect(writers.count == 1, "\(writers)")

            try write(nil, "export", in: beta, lab)
            _ = try await awaitObject("ServiceImport", "api", in: alpha, lab) {
                $0.status?.clusters?.map(\.cluster) == ["gamma"]
            }
            try write(nil, "export", in: gamma, lab)
            _ = try await awaiting("the end of the import", atMost: .seconds(40)) {
                let imports = try objects("ServiceImport", in: alpha, lab)
                let services = try objects("Service", in: alpha, lab)
                return imports.isEmpty
                    && !services.contains { $0.metadata.name.hasPrefix("derived-") } ? true : nil
            }
        }
    }

    @Test("endpoints of a headless one are listed where it is imported, with their cluster's name")
    func headless() async throws {
        try await withLab(Self.file) { lab in
            let (alpha, beta) = (lab.plan.clusters[0], lab.plan.clusters[1])
            let backend = try #require(beta.endpoints.first { $0.name == "web-1" }?.addresses.first)
            let service = """
                apiVersion: v1
                kind: Service
                metadata: {name: db, namespace: demo}
                spec:
                  clusterIP: None
                  clusterIPs: [None]
                  ipFamilies: [IPv4]
                  ports: [{name: http, port: 8080, appProtocol: kubernetes.io/h2c}]
                ---
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata:
                  name: db-1
                  namespace: demo
                  labels: {kubernetes.io/service-name: db}
                addressType: IPv4
                ports: [{name: http, protocol: TCP, port: 8080, appProtocol: http}]
                endpoints:
                - addresses: ["\(backend)"]
                  hostname: db-0
                  nodeName: \(beta.first.name)
                  conditions: {ready: true, serving: true, terminating: false}
                ---
                """
            try write(
                service + "\n" + Self.export("db", at: "2026-01-01T00:00:00Z")
                    + "spec: {exportedLabels: {tier: back}}\n", "db", in: beta, lab)
            let imported = try await awaitObject("ServiceImport", "db", in: alpha, lab) {
                $0.conditions == ["Ready=True Ready"]
            }
            #expect(imported.spec?.type == "Headless" && imported.spec?.ips == nil)
            #expect(imported.spec?.ipFamilies == ["IPv4"])
            #expect(imported.spec?.ports?.map(\.appProtocol) == ["kubernetes.io/h2c"])
            #expect(imported.metadata.labels?["tier"] == "back")
            let slice = try await awaitObject("EndpointSlice", "imported-", in: alpha, lab)
            #expect(slice.metadata.labels?["multicluster.kubernetes.io/source-cluster"] == "beta")
            #expect(slice.endpoints?.map(\.addresses) == [[backend]])
            #expect(slice.endpoints?.map(\.hostname) == ["db-0"])
            #expect(slice.ports?.map(\.appProtocol) == ["http"])
            #expect(
                try objects("Service", in: alpha, lab).allSatisfy {
                    !$0.metadata.name.hasPrefix("derived-")
                })
            try write(nil, "db", in: beta, lab)
            _ = try await awaiting("the end of the slice", atMost: .seconds(40)) {
                try objects("EndpointSlice", in: alpha, lab).contains {
                    $0.metadata.name.hasPrefix("imported-")
                } ? nil : true
            }
        }
    }
}
