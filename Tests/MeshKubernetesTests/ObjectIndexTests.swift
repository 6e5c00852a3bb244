// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshKubernetes

private let services = ObjectSelection(.services)
private let slices = ObjectSelection(.endpointSlices)
private let pods = ObjectSelection(.pods, fieldSelector: "spec.nodeName=n")
private let exports = ObjectSelection(.serviceExports("v1beta1"), isOptional: true)
private let policies = ObjectSelection(.networkPolicies)

/// An object in the namespace `shop` as lists have it: without kind and apiVersion.
private func object(
    _ name: String, _ fields: String, metadata: String = "", namespace: String = "shop"
) -> ObjectText {
    let json = """
        {"metadata":{"name":"\(name)","namespace":"\(namespace)","resourceVersion":"7",\
        "managedFields":[{"manager":"kubectl","fieldsV1":{"f:spec":{}}}]\(metadata)},\(fields)}
        """
    return ObjectText(
        name: ObjectName(namespace: namespace, name: name), resourceVersion: "7",
        json: Array(json.utf8))
}

private func serviceObject(_ name: String, ip: String = "10.96.0.1", more: String = "")
    -> ObjectText
{
    object(
        name,
        """
        "spec":{"clusterIP":"\(ip)","clusterIPs":["\(ip)"],"type":"ClusterIP",
        "ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}]\(more)},"status":{"loadBalancer":{}}
        """)
}

private func exportObject(_ name: String, created: String = "2026-11-22T12:32:16Z") -> ObjectText {
    object(
        name, #""spec":{}"#, metadata: #","creationTimestamp":"\#(created)","generation":1"#)
}

extension ObjectIndex {
    fileprivate mutating func take(_ selection: ObjectSelection, _ events: ObjectEvent...) {
        for event in events { _ = receive(event, of: selection, nowUnixSeconds: 100) }
    }

    fileprivate func service(_ name: String) throws -> ServiceRecord? {
        try records[RecordKey(kind: .service, name: "shop/\(name)")].map {
            try ServiceRecord(encoded: $0)
        }
    }

    fileprivate var names: [String] { records.keys.map(\.name).sorted() }
}

@Suite("Objects of an API server")
struct ObjectIndexTests {
    @Test("become the records that a folder of the same objects makes")
    func likeAFolder() throws {
        let folder = ManifestFile(
            bytes: Array(
                """
                apiVersion: v1
                kind: Service
                metadata: {name: web, namespace: shop}
                spec:
                  clusterIPs: [10.96.0.1]
                  internalTrafficPolicy: Local
                  ports: [{name: http, port: 80}]
                ---
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata: {name: web-v4, namespace: shop, labels: {kubernetes.io/service-name: web}}
                addressType: IPv4
                ports: [{name: http, port: 8080}]
                endpoints: [{addresses: [10.10.1.10], nodeName: node-1}]
                """.utf8))
        var index = ObjectIndex()
        index.take(
            services, .listBegan,
            .listed([serviceObject("web", more: #","internalTrafficPolicy":"Local""#)]),
            .listEnded(resourceVersion: "9"))
        // Unknown readiness means ready; an absent list is null.
        index.take(
            slices,
            .changed(
                object(
                    "web-v4",
                    """
                    "addressType":"IPv4","ports":[{"name":"http","protocol":"TCP","port":8080}],
                    "endpoints":[{"addresses":["10.10.1.10"],"conditions":{"ready":null},"nodeName":"node-1"}]
                    """,
                    metadata: #","labels":{"kubernetes.io/service-name":"web"}"#)),
            .changed(
                object(
                    "empty", #""addressType":"IPv4","ports":null,"endpoints":null"#,
                    metadata: #","labels":{"kubernetes.io/service-name":"web"}"#)))
        let expected = folder.objects.values.reduce(into: [RecordKey: [UInt8]]()) {
            if case .record(let key, let encoded) = $1.content { $0[key] = encoded }
        }
        #expect(folder.faults.isEmpty && expected.count == 2)
        for (key, value) in expected { #expect(index.records[key] == value, "\(key)") }
        #expect(index.names == ["shop/empty", "shop/web", "shop/web-v4"] && index.problems.isEmpty)
    }

    @Test("that a list lacks are gone when it ends, and not before, nor if it is cut off")
    func markAndSweep() {
        var index = ObjectIndex()
        index.take(
            services, .listBegan,
            .listed([serviceObject("a"), serviceObject("b", ip: "10.96.0.2")]))
        #expect(!index.isComplete([services]))
        index.take(services, .listEnded(resourceVersion: "9"))
        #expect(index.isComplete([services]) && index.names == ["shop/a", "shop/b"])
        // A list that only got as far as `b`, then another one that is whole and lacks `b`.
        index.take(services, .listBegan, .listed([serviceObject("b", ip: "10.96.0.2")]), .listBegan)
        #expect(index.names == ["shop/a", "shop/b"])
        index.take(
            services, .listed([serviceObject("a")]), .listed([serviceObject("c", ip: "10.96.0.3")]))
        #expect(index.names == ["shop/a", "shop/b", "shop/c"])
        index.take(services, .listEnded(resourceVersion: "12"))
        #expect(index.names == ["shop/a", "shop/c"] && index.count(of: services) == 2)
    }

    @Test(
        "that don't decode stay as they last were, and say why",
        arguments: [
            (
                #""spec":{"clusterIP":"10.96.0.1","ports":[{"port":70000}]}"#,
                "spec.ports[0].port is 70000; must be 1...65535"
            ),
            (
                #""spec":{"clusterIP":"nowhere","ports":[{"port":80}]}"#,
                #"spec.clusterIP is "nowhere", which is no IP address"#
            ),
            (#""spec":{"clusterIP":"10.96.0.1","ports":"80"}"#, "spec.ports must be a list"),
            (
                #""spec":{"clusterIP":"10.96.0.1","internalTrafficPolicy":"Mine","ports":[{"port":80}]}"#,
                #"spec.internalTrafficPolicy is "Mine"; must be Cluster or Local"#
            ),
            (#""spec":{"#, "is no object: JSON malformed at byte"),
        ])
    func undecodable(fields: String, message: String) throws {
        var index = ObjectIndex()
        index.take(services, .changed(serviceObject("web")), .changed(object("web", fields)))
        #expect(try index.service("web")?.addresses.map(\.description) == ["10.96.0.1"])
        let problem = try #require(index.problems.first)
        #expect(problem.message.hasPrefix(message), "\(problem.message)")
        #expect(problem.file == "API server: Service shop/web" && problem.sinceUnixSeconds == 100)
        // Right again, or gone: nothing to report.
        index.take(services, .changed(serviceObject("web", ip: "10.96.0.9")))
        #expect(index.problemCount == 0)
        #expect(try index.service("web")?.addresses.map(\.description) == ["10.96.0.9"])
        index.take(
            services, .changed(object("web", fields)),
            .removed(ObjectName(namespace: "shop", name: "web"), resourceVersion: "20"))
        #expect(index.problemCount == 0 && index.names.isEmpty)
    }

    @Test("that are too large, nested too deep or somebody else's are reported, and nothing else")
    func absurd() throws {
        var index = ObjectIndex()
        let name = ObjectName(namespace: "shop", name: "web")
        let deep = String(repeating: "[", count: 100_000)
        for text in [
            ObjectText(name: name, resourceVersion: "1", json: nil),
            ObjectText(name: name, resourceVersion: "1", json: Array(deep.utf8)),
            ObjectText(
                name: name, resourceVersion: "1", json: serviceObject("other").json),
        ] {
            index.take(services, .changed(text))
            #expect(index.problemCount == 1 && index.names.isEmpty)
            #expect(index.problems.allSatisfy { $0.message.utf8.count <= 512 })
        }
        index.take(services, .changed(serviceObject("fine")))
        #expect(index.names == ["shop/fine"])
    }

    @Test(
        "of no use are passed over: aliases, imported slices, pods without an address of their own")
    func passedOver() {
        var index = ObjectIndex()
        index.take(
            services,
            .changed(object("out", #""spec":{"type":"ExternalName","externalName":"a.example"}"#)))
        index.take(
            slices,
            .changed(
                object(
                    "imported", #""addressType":"IPv4","endpoints":[],"ports":[]"#,
                    metadata: #","labels":{"multicluster.kubernetes.io/service-name":"web"}"#)))
        index.take(
            pods, .changed(object("proxy", #""spec":{"hostNetwork":true,"containers":[]}"#)),
            .changed(object("job", #""spec":{"containers":[]},"status":{"phase":"Succeeded"}"#)),
            .changed(
                object(
                    "leaving", #""spec":{"containers":[]},"status":{"phase":"Running"}"#,
                    metadata: #","deletionTimestamp":"2026-11-22T12:32:16Z""#)))
        #expect(index.records.isEmpty && index.problems.isEmpty)
        #expect(index.pods.keys.map(\.name) == ["leaving"])
        #expect(index.has(ObjectName(namespace: "shop", name: "out"), in: services))
    }

    @Test("make a service global by a ServiceExport, whichever of the two comes first")
    func exporting() throws {
        for exportFirst in [true, false] {
            var index = ObjectIndex()
            if exportFirst { index.take(exports, .changed(exportObject("web"))) }
            index.take(services, .changed(serviceObject("web")))
            if !exportFirst {
                #expect(try index.service("web")?.isGlobal == false)
                index.take(exports, .changed(exportObject("web")))
            }
            let record = try #require(try index.service("web"))
            #expect(record.isGlobal && record.isShared && record.exportedAt == 1_795_350_736)
            index.take(
                exports, .removed(ObjectName(namespace: "shop", name: "web"), resourceVersion: "9"))
            #expect(try index.service("web")?.exportedAt == 0)
            #expect(try index.service("web")?.isGlobal == false)
        }
    }

    @Test("are gone with the resource that the server no longer has, and with a watch that ends")
    func absence() {
        var index = ObjectIndex()
        index.take(exports, .health(FeedHealth(phase: .absent, sinceUnixSeconds: 1)))
        #expect(index.isComplete([exports]))
        index.take(services, .changed(serviceObject("web")))
        let changes = index.forget(services)
        #expect(changes.records == [RecordKey(kind: .service, name: "shop/web"): nil])
        #expect(index.names.isEmpty && index.health[services] == nil)
    }

    @Test("that can't be decoded never take a policy away")
    func policy() {
        var index = ObjectIndex()
        let policy = #""spec":{"podSelector":{},"policyTypes":["Ingress"]}"#
        index.take(
            policies, .changed(object("deny", policy)),
            .changed(object("deny", #""spec":{"podSelector":{},"future":{}}"#)))
        #expect(index.records.count == 1 && index.problemCount == 1)
    }
}

@Suite("A time as an API server writes it")
struct TimestampTests {
    @Test(
        "reads back as it was written",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-22T12:32:16Z", 1_795_350_736),
            ("2024-02-29T23:59:59Z", 1_709_251_199), ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] as [(String, UInt64)])
    func roundTrip(text: String, seconds: UInt64) {
        #expect(unixSeconds(rfc3339: text) == seconds)
        #expect(rfc3339(unixSeconds: seconds) == text)
    }

    @Test(
        "is nothing else",
        arguments: [
            "", "2026-11-22", "2026-11-22T12:32:16", "2026-11-22T12:32:16+01:00",
            "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z",
            "2026-11-22T24:00:00Z", "1969-12-31T23:59:59Z", "2026-11-22T12:32:60Z",
        ])
    func refused(text: String) {
        #expect(unixSeconds(rfc3339: text) == nil)
    }
}
