// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshKubernetes

private let name = ObjectName(namespace: "shop", name: "web")

private func exported(_ cluster: String, at created: UInt64 = 1, isHeadless: Bool = false)
    -> ServiceExporter
{
    ServiceExporter(
        cluster: ClusterName(rawValue: cluster)!,
        record: ServiceRecord(
            object: name, addresses: isHeadless ? [] : [Address("10.96.0.1")!],
            ports: [ServicePort(name: "http", transport: .tcp, port: 80)], isGlobal: true,
            isShared: true, affinity: .none, sessionAffinitySeconds: 60, exportedAt: created))
}

private func imported(
    _ exporters: [ServiceExporter], addresses: [String] = [], slices: [ImportedSlice] = []
) throws -> ImportedService {
    ImportedService(
        service: name, exported: try #require(ExportedService(exporters)),
        addresses: addresses.compactMap { Address($0) }, slices: slices)
}

private func texts(_ steps: [ImportPlan.Step]) -> [String] {
    steps.map {
        switch $0 {
        case .apply(let target, _):
            "apply \(target.resource.plural) \(target.name)"
                + (target.part.map { "/\($0)" } ?? "")
        case .delete(let target): "delete \(target.resource.plural) \(target.name)"
        }
    }
}

private let derived = ImportPlan.derivedName(of: name)

@Suite("What is written to an API server about services of the mesh")
struct ImportPlanTests {
    @Test("is an import, its status and a service that stands for it; a second time nothing")
    func converges() throws {
        var plan = ImportPlan(version: "v1beta1")
        let wanted = [try imported([exported("east"), exported("west")])]
        let steps = plan.steps(to: wanted, present: [], maximum: 100)
        #expect(
            texts(steps) == [
                "apply serviceimports shop/web", "apply serviceimports shop/web/status",
                "apply services \(derived)",
            ])
        for step in steps { plan.done(step) }
        let present: Set = [
            ImportPlan.Target(.serviceImports("v1beta1"), name),
            ImportPlan.Target(.services, derived),
        ]
        #expect(plan.steps(to: wanted, present: present, maximum: 100).isEmpty)
        // Somebody deleted the service: it is written again.
        #expect(
            texts(plan.steps(to: wanted, present: present.filter { $0.name == name }, maximum: 100))
                == ["apply services \(derived)"])
        // The API server gave it addresses: the import shows them.
        let addressed = [
            try imported([exported("east"), exported("west")], addresses: ["10.9.9.9"])
        ]
        #expect(
            texts(plan.steps(to: addressed, present: present, maximum: 100)) == [
                "apply serviceimports shop/web"
            ])
    }

    @Test("goes with the last export, and nothing goes that isn't Weft's")
    func deletes() throws {
        let plan = ImportPlan(version: "v1alpha1")
        let present: Set = [
            ImportPlan.Target(.serviceImports("v1beta1"), name),
            ImportPlan.Target(.services, derived),
        ]
        #expect(
            texts(plan.steps(to: [], present: present, maximum: 100)) == [
                "delete serviceimports shop/web", "delete services \(derived)",
            ])
        #expect(plan.steps(to: [], present: present, maximum: 1).count == 1)
        #expect(plan.resource(of: present.min()!).version == "v1alpha1")
    }

    @Test("says of each cluster's endpoints whose they are, if the service is headless")
    func headless() throws {
        let plan = ImportPlan(version: "v1beta1")
        let slice = SliceRecord(
            object: ObjectName(namespace: "shop", name: "web-v4"), service: "web",
            ports: [ServicePort(name: "http", transport: .tcp, port: 8080)],
            endpoints: [
                SliceEndpoint(
                    addresses: [Address("10.2.0.1")!], isReady: true, isServing: true,
                    isTerminating: false, node: "n")
            ])
        let slices = ["east", "west"].map {
            ImportedSlice(cluster: ClusterName(rawValue: $0)!, record: slice)
        }
        let steps = plan.steps(
            to: [
                try imported(
                    [exported("east", isHeadless: true), exported("west", isHeadless: true)],
                    slices: slices)
            ], present: [], maximum: 100)
        #expect(
            texts(steps).map { $0.split(separator: " ")[1] } == [
                "serviceimports", "serviceimports", "endpointslices", "endpointslices",
            ])
        let bodies = steps.compactMap { step -> String? in
            guard case .apply(_, let body) = step else { return nil }
            return String(decoding: body, as: UTF8.self)
        }
        #expect(
            bodies[0] == #"{"apiVersion":"multicluster.x-k8s.io/v1beta1","kind":"ServiceImport","#
                + #""metadata":{"name":"web","namespace":"shop","labels":{"app.kubernetes.io/managed-by":"weft"}},"#
                + #""spec":{"type":"Headless","ports":[{"protocol":"TCP","port":80,"name":"http"}]}}"#
        )
        #expect(
            bodies[1].hasSuffix(#""status":{"clusters":[{"cluster":"east"},{"cluster":"west"}]}}"#))
        #expect(Set(bodies[2...].map { $0.contains(#"source-cluster":"east""#) }) == [true, false])
        #expect(
            bodies[2].contains(
                #""endpoints":[{"addresses":["10.2.0.1"],"conditions":{"ready":true"#))
    }

    @Test("is known again when it comes back from the server, and nothing else of the kind")
    func marked() throws {
        var index = ObjectIndex()
        let plan = ImportPlan(version: "v1beta1")
        let wanted = [try imported([exported("east")])]
        let selections = [
            "ServiceImport": ObjectSelection(.serviceImports("v1beta1"), isOptional: true),
            "Service": ObjectSelection(.services),
        ]
        for case .apply(let target, let body) in plan.steps(to: wanted, present: [], maximum: 9)
        where target.part == nil {
            var object = try JSONValue(body)
            if target.resource == .services { object["spec"]["clusterIP"] = "10.9.9.9" }
            for (name, isMarked) in [(target.name.name, true), ("other", false)] {
                object["metadata"]["name"] = .string(name)
                if !isMarked { object["metadata"]["labels"] = [:] }
                let text = ObjectText(
                    name: ObjectName(namespace: "shop", name: name), resourceVersion: "1",
                    json: object.bytes)
                let selection = try #require(selections[target.resource.kind])
                _ = index.receive(.changed(text), of: selection, nowUnixSeconds: 0)
            }
        }
        #expect(index.problems.isEmpty)
        #expect(
            index.imported == [
                ImportPlan.Target(.serviceImports("v1beta1"), name),
                ImportPlan.Target(.services, derived),
            ])
        #expect(index.derivedAddresses == [derived: [Address("10.9.9.9")!]])
    }
}
