// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshKubernetes

private let name = ObjectName(namespace: "shop", name: "web")

private func exported(
    _ cluster: String, at created: UInt64 = 1, isHeadless: Bool = false,
    ports: [ServicePort] = [ServicePort(name: "http", transport: .tcp, port: 80)],
    addresses: [String] = ["10.96.0.1"], distribution: TrafficDistribution = .anywhere,
    labels: Labels = [:], annotations: Labels = [:]
) -> ServiceExporter {
    ServiceExporter(
        cluster: ClusterName(rawValue: cluster)!,
        record: ServiceRecord(
            object: name, addresses: isHeadless ? [] : addresses.compactMap { Address($0) },
            ports: ports, isGlobal: true, isShared: true, affinity: .none,
            sessionAffinitySeconds: 60, exportedAt: created, distribution: distribution,
            exportedMetadata: try! ExportedMetadata(labels: labels, annotations: annotations),
            headlessFamilies: isHeadless ? addresses.compactMap { Address($0)?.family } : []))
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

extension ImportPlan {
    fileprivate mutating func steps(
        to wanted: [ImportedService], present: Set<Target>,
        conditions: [ObjectName: [ObjectCondition]] = [:], maximum: Int = 100,
        at now: Instant = .zero, seconds: UInt64 = 1_795_350_736
    ) -> [Step] {
        steps(
            to: wanted, present: present, conditions: conditions, maximum: maximum, at: now,
            nowUnixSeconds: seconds)
    }
}

/// What is applied to each target.
private func bodies(_ steps: [ImportPlan.Step]) throws -> [ImportPlan.Target: JSONValue] {
    var bodies: [ImportPlan.Target: JSONValue] = [:]
    for case .apply(let target, let body) in steps { bodies[target] = try JSONValue(body) }
    return bodies
}

private let whole = ImportPlan.Target(.serviceImports("v1beta1"), name)
private let additions = ImportPlan.Target(.serviceImports("v1beta1"), name, part: .additions)
private let status = ImportPlan.Target(.serviceImports("v1beta1"), name, part: .status)
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
                "apply serviceimports shop/web", "apply serviceimports shop/web/additions",
                "apply serviceimports shop/web/status", "apply services \(derived)",
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
                "apply serviceimports shop/web", "apply serviceimports shop/web/status",
            ])
        // Somebody deleted the import: its parts come with it.
        #expect(
            texts(plan.steps(to: wanted, present: present.filter { $0.name == derived })) == [
                "apply serviceimports shop/web", "apply serviceimports shop/web/additions",
                "apply serviceimports shop/web/status",
            ])
    }

    @Test("goes with the last export, and nothing goes that isn't Weft's")
    func deletes() throws {
        var plan = ImportPlan(version: "v1alpha1")
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
        var plan = ImportPlan(version: "v1beta1")
        let slice = SliceRecord(
            object: ObjectName(namespace: "shop", name: "web-v4"), service: "web",
            ports: [ServicePort(name: "http", transport: .tcp, port: 8080)],
            endpoints: [
                SliceEndpoint(
                    addresses: [Address("10.2.0.1")!], isReady: true, isServing: true,
                    isTerminating: false, node: "n", hostname: "web-0")
            ])
        let slices = ["east", "west"].map {
            // A zone that no label can have isn't told.
            ImportedSlice(
                cluster: ClusterName(rawValue: $0)!, record: slice,
                zones: ["n": $0 == "east" ? "z1" : "z 1"])
        }
        let steps = plan.steps(
            to: [
                try imported(
                    [exported("east", isHeadless: true), exported("west", isHeadless: true)],
                    slices: slices)
            ], present: [], maximum: 100)
        #expect(
            texts(steps).map { $0.split(separator: " ")[1] } == [
                "serviceimports", "serviceimports", "serviceimports", "endpointslices",
                "endpointslices",
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
            bodies[2] == #"{"status":{"endpointSliceObjects":"Present","#
                + #""clusters":[{"cluster":"east"},{"cluster":"west"}],"conditions":["#
                + #"{"type":"Ready","status":"True","reason":"Ready","message":"","#
                + #""lastTransitionTime":"2026-11-22T12:32:16Z"}]}}"#)
        for (cluster, zone) in [("east", #","zone":"z1""#), ("west", "")] {
            let body = try #require(bodies[3...].first { $0.contains(#"cluster":"\#(cluster)""#) })
            #expect(
                body.hasSuffix(
                    #""endpoints":[{"addresses":["10.2.0.1"],"conditions":{"ready":true,"#
                        + #""serving":true,"terminating":false},"hostname":"web-0"\#(zone)}]}"#))
        }
    }

    @Test("has what the exports say of labels, protocols, families and distribution")
    func exportedFields() throws {
        var plan = ImportPlan(version: "v1beta1")
        let port = ServicePort(
            name: "", transport: .tcp, port: 80, application: "kubernetes.io/h2c")
        let dual = ["fd00:96::1", "10.96.0.1"]
        let wanted = try imported(
            [
                exported(
                    "east", ports: [port], addresses: dual, distribution: .sameZone,
                    labels: ["tier": "front"], annotations: ["example.com/a": "b c"]),
                exported(
                    "west", at: 2, ports: [ServicePort(name: "dns", transport: .udp, port: 80)],
                    addresses: dual),
            ], addresses: ["10.9.9.9", "fd00:9::9"])
        let found = try bodies(plan.steps(to: [wanted], present: []))
        let metadata = found[whole]?["metadata"]
        #expect(
            metadata?["labels"]
                == ["app.kubernetes.io/managed-by": "weft", "tier": "front"])
        #expect(metadata?["annotations"] == ["example.com/a": "b c"])
        let spec = found[whole]?["spec"]
        #expect(
            spec?["ports"] == [
                ["protocol": "TCP", "port": 80, "appProtocol": "kubernetes.io/h2c"],
                ["protocol": "UDP", "port": 80, "name": "dns"],
            ])
        #expect(spec?["ips"] == ["fd00:9::9", "10.9.9.9"])
        #expect(
            found[additions]?["spec"] == [
                "ipFamilies": ["IPv6", "IPv4"], "internalTrafficPolicy": "Cluster",
                "trafficDistribution": "PreferClose",
            ])
        let service = found[ImportPlan.Target(.services, derived)]
        #expect(service?["spec"]["trafficDistribution"] == "PreferClose")
        // A service of several ports has a name for each.
        #expect(
            service?["spec"]["ports"] == [
                [
                    "protocol": "TCP", "port": 80, "name": "tcp-80",
                    "appProtocol": "kubernetes.io/h2c",
                ],
                ["protocol": "UDP", "port": 80, "name": "dns"],
            ])
        #expect(service?["metadata"]["labels"]["tier"] == .null)
    }

    @Test(
        "shows addresses that reach all backends alone, and says when there are none here",
        arguments: [
            (["10.9.9.9", "fd00:9::9"], ["10.9.9.9"], ["IPv4"], "True", "Ready"),
            (["10.9.9.9"], ["10.9.9.9"], ["IPv4"], "True", "Ready"),
            (["fd00:9::9"], [], ["IPv4"], "False", "IPFamilyNotSupported"),
            ([], [], ["IPv4"], "False", "Pending"),
        ] as [([String], [String], [String], String, String)])
    func addressFamilies(
        own: [String], ips: [String], families: [String], isReady: String, reason: String
    ) throws {
        var plan = ImportPlan(version: "v1beta1")
        let exporters = [
            exported("east", addresses: ["10.96.0.1", "fd00:96::1"]), exported("west", at: 2),
        ]
        let found = try bodies(
            plan.steps(to: [imported(exporters, addresses: own)], present: []))
        #expect(found[whole]?["spec"]["ips"].items.map(\.text) == ips)
        #expect(found[additions]?["spec"]["ipFamilies"].items.map(\.text) == families)
        let ready = found[status]?["status"]["conditions"].items.first
        #expect(ready?["status"].text == isReady && ready?["reason"].text == reason)
        #expect(found[status]?["status"]["endpointSliceObjects"] == "Absent")
    }

    @Test("of an import's readiness keeps the time of its last turn, and what others say")
    func readiness() throws {
        let other = ObjectCondition(
            type: "Audited", isTrue: true, reason: "Yes", message: "", since: "x", generation: 0)
        let ready = ObjectCondition(
            type: "Ready", isTrue: true, reason: "Ready", message: "",
            since: "2026-01-01T00:00:00Z", generation: 0)
        func times(_ plan: inout ImportPlan, _ address: [String], seconds: UInt64) throws
            -> [String]
        {
            let wanted = try imported([exported("east")], addresses: address)
            let steps = plan.steps(
                to: [wanted], present: [whole], conditions: [name: [ready, other]],
                seconds: seconds)
            for step in steps { plan.done(step) }
            return try bodies(steps)[status]?["status"]["conditions"].items.map {
                "\($0["type"].text ?? "") \($0["lastTransitionTime"].text ?? "")"
            } ?? []
        }
        // A publisher that is new finds out when it was from the object itself.
        var plan = ImportPlan(version: "v1beta1")
        #expect(
            try times(&plan, ["10.9.9.9"], seconds: 1_795_350_736) == [
                "Audited x", "Ready 2026-01-01T00:00:00Z",
            ])
        #expect(
            try times(&plan, [], seconds: 1_795_350_736) == [
                "Audited x", "Ready 2026-11-22T12:32:16Z",
            ])
        // Before the watch brings it back nothing is written twice.
        #expect(try times(&plan, [], seconds: 1_795_350_800) == [])
    }

    @Test("of slices has those of families that all have, and none that says of no family")
    func sliceFamilies() throws {
        var plan = ImportPlan(version: "v1beta1")
        func slice(_ name: String, _ addresses: String...) -> ImportedSlice {
            ImportedSlice(
                cluster: ClusterName(rawValue: "east")!,
                record: SliceRecord(
                    object: ObjectName(namespace: "shop", name: name), service: "web", ports: [],
                    endpoints: addresses.map {
                        SliceEndpoint(
                            addresses: [Address($0)!], isReady: true, isServing: true,
                            isTerminating: false, node: "")
                    }))
        }
        let wanted = try imported(
            [
                exported("east", isHeadless: true, addresses: ["fd00::", "10.0.0.0"]),
                exported("west", at: 2, isHeadless: true, addresses: ["fd00::"]),
            ],
            slices: [
                slice("v4", "10.2.0.1"), slice("v6", "fd00:2::1"), slice("empty"),
                slice("liar", "fd00:2::2", "10.2.0.2"),
            ])
        let found = try bodies(plan.steps(to: [wanted], present: [])).values.filter {
            $0["kind"] == "EndpointSlice"
        }
        #expect(Set(found.map { $0["addressType"].text }) == ["IPv6"])
        #expect(
            Set(found.map { $0["endpoints"].items.map { $0["addresses"] } }) == [
                [["fd00:2::1"]], [["fd00:2::2"]],
            ])
    }

    @Test("what a server refuses waits behind the rest, until it changes or a minute has passed")
    func refusal() async throws {
        var plan = ImportPlan(version: "v1beta1")
        let others = try ["a", "b"].map {
            ImportedService(
                service: ObjectName(namespace: "shop", name: $0),
                exported: try #require(ExportedService([exported("east")])), addresses: [],
                slices: [])
        }
        let refused = KubernetesError(.invalid, "no", status: 422)
        var asked: [String] = []
        func pass(_ services: [ImportedService], _ error: KubernetesError?, at seconds: Int) async
            -> [String]
        {
            asked = []
            let now = Instant.zero + .seconds(seconds)
            let steps = plan.steps(to: services, present: [], at: now)
            let failed = await plan.carryOut(steps, at: now) { request in
                asked.append("\(request.path.name ?? "")/\(request.path.subresource ?? "")")
                if let error, request.path.name == "a" { throw error }
            }
            return failed.map { "\($0.step)" }
        }
        #expect(await pass(others, refused, at: 0) == ["ServiceImport shop/a"])
        // Neither its parts nor the other's wait for it.
        #expect(asked.filter { $0.hasPrefix("a/") } == ["a/"])
        #expect(asked.filter { $0.hasPrefix("b/") } == ["b/", "b/", "b/status"])
        #expect(await pass(others, refused, at: 59) == [])
        #expect(!asked.contains { $0.hasPrefix("a/") })
        #expect(await pass(others, refused, at: 60) == ["ServiceImport shop/a"])
        #expect(asked.last == "a/")
        // Another body is another try.
        let changed = ImportedService(
            service: others[0].service, exported: others[0].exported,
            addresses: [Address("10.9.9.9")!], slices: [])
        #expect(await pass([changed], nil, at: 61) == [])
        #expect(asked.contains("a/") && asked.contains("a/status"))
        // What would befall the others, too, ends the pass.
        plan = ImportPlan(version: "v1beta1")
        let away = KubernetesError(.unavailable, "away")
        #expect(await pass(others, away, at: 0) == ["ServiceImport shop/a"])
        #expect(asked == ["a/"])
        #expect(await pass(others, away, at: 2) == [])
        #expect(asked.contains("b/"))
    }

    @Test("is known again when it comes back from the server, and nothing else of the kind")
    func marked() throws {
        var index = ObjectIndex()
        var plan = ImportPlan(version: "v1beta1")
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
