// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import APIServerDouble
@testable import MeshKubernetes

/// Definitions of ServiceImport, as clusters have installed them.
private struct Definitions: CustomTestStringConvertible {
    let version: String
    let resources: [DoubleResource]
    /// Fields beyond the first definition's.
    let hasAdditions: Bool

    var testDescription: String { version }

    static let all = [
        Definitions(
            version: "v1beta1", resources: DoubleResource.multicluster, hasAdditions: true),
        Definitions(
            version: "v1alpha1", resources: DoubleResource.earlyMulticluster,
            hasAdditions: false),
    ]
}

@Suite("What is written about services of the mesh, at a server")
struct ImportPlanServerTests {
    private let name = ObjectName(namespace: "shop", name: "web")

    private func service(_ cluster: String, labels: Labels) throws -> ServiceExporter {
        ServiceExporter(
            cluster: try #require(ClusterName(rawValue: cluster)),
            record: ServiceRecord(
                object: name, addresses: [try #require(Address("10.96.0.1"))],
                ports: [ServicePort(name: "http", transport: .tcp, port: 80)], isGlobal: true,
                isShared: true, affinity: .none, sessionAffinitySeconds: 0, exportedAt: 1,
                distribution: .sameZone,
                exportedMetadata: try ExportedMetadata(labels: labels, annotations: [:])))
    }

    /// - Returns: how many writes it took.
    private func carryOut(
        _ wanted: [ImportedService], _ plan: inout ImportPlan, present: Set<ImportPlan.Target>,
        at server: inout DoubleState
    ) async throws -> Int {
        let steps = plan.steps(
            to: wanted, present: present, maximum: 100, at: .zero, nowUnixSeconds: 1_795_350_736)
        var state = server
        let failed = await plan.carryOut(steps, at: .zero) { request in
            let reply = state.handle(
                DoubleRequest(
                    request.method.rawValue, request.target, contentType: request.contentType,
                    body: request.body))
            guard case .answer(let answer) = reply else { throw KubernetesError(.malformed, "") }
            if answer.status >= 300 {
                throw KubernetesError(status: answer.status, body: answer.body)
            }
        }
        server = state
        try #require(failed.isEmpty, "\(failed)")
        return steps.count
    }

    @Test(
        "is taken by every definition of ServiceImport, as far as it goes",
        arguments: Definitions.all)
    fileprivate func definitions(_ definitions: Definitions) async throws {
        var server = DoubleState(resources: DoubleResource.builtIn + definitions.resources)
        var plan = ImportPlan(version: definitions.version)
        let address = try #require(Address("10.9.9.9"))
        func wanted(_ labels: Labels) throws -> [ImportedService] {
            [
                ImportedService(
                    service: name,
                    exported: try #require(ExportedService([service("east", labels: labels)])),
                    addresses: [address], slices: [])
            ]
        }
        #expect(
            try await carryOut(wanted(["tier": "front"]), &plan, present: [], at: &server) == 4)
        func object() throws -> JSONValue {
            let reply = server.handle(
                DoubleRequest(
                    "GET",
                    "/apis/multicluster.x-k8s.io/\(definitions.version)/namespaces/shop/serviceimports/web"
                ))
            guard case .answer(let answer) = reply, answer.status == 200
            else { throw KubernetesError(.notFound, "") }
            return try JSONValue(answer.body)
        }
        let first = try object()
        #expect(first["spec"]["ips"] == ["10.9.9.9"])
        #expect(first["status"]["clusters"] == [["cluster": "east"]])
        #expect(first["metadata"]["labels"]["tier"] == "front")
        let spec = first["spec"]
        #expect(spec["ipFamilies"] == (definitions.hasAdditions ? ["IPv4"] : .null))
        #expect(spec["trafficDistribution"] == (definitions.hasAdditions ? "PreferClose" : .null))
        #expect(
            first["status"]["conditions"].items.first?["reason"].text
                == (definitions.hasAdditions ? "Ready" : nil))
        #expect(
            first["status"]["endpointSliceObjects"]
                == (definitions.hasAdditions ? "Absent" : .null))
        // A label that is exported no more goes, and the rest stays.
        let present: Set = [
            ImportPlan.Target(ImportPlan.imports, name),
            ImportPlan.Target(.services, ImportPlan.derivedName(of: name)),
        ]
        #expect(try await carryOut(wanted([:]), &plan, present: present, at: &server) == 1)
        let second = try object()
        #expect(second["metadata"]["labels"] == ["app.kubernetes.io/managed-by": "weft"])
        #expect(second["spec"] == first["spec"] && second["status"] == first["status"])
    }

    @Test("would be refused as a whole if a definition lacks one field of an apply")
    func undeclared() throws {
        var server = DoubleState(resources: DoubleResource.earlyMulticluster)
        let reply = server.handle(
            DoubleRequest(
                "PATCH",
                "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/shop/serviceimports/web"
                    + "?fieldManager=weft&force=false",
                contentType: "application/apply-patch+yaml",
                body: Array(
                    """
                    {"apiVersion":"multicluster.x-k8s.io/v1alpha1","kind":"ServiceImport",
                     "metadata":{"name":"web","namespace":"shop"},
                     "spec":{"type":"ClusterSetIP","ports":[],"ipFamilies":["IPv4"]}}
                    """.utf8)))
        guard case .answer(let answer) = reply else { return }
        #expect(
            String(decoding: answer.body, as: UTF8.self)
                == #"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","#
                + #""message":"failed to create typed patch object (shop/web; "#
                + #"multicluster.x-k8s.io/v1alpha1, Kind=ServiceImport): .spec.ipFamilies: "#
                + #"field not declared in schema","code":500}"#)
        #expect(answer.status == 500)
    }
}
