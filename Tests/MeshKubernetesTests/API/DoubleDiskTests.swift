// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import APIServerDouble

@Suite("The double on disk, and what it adds to what clients write")
struct DoubleDiskTests {
    private static let resources = DoubleResource.builtIn + DoubleResource.multicluster

    private static func service(_ name: String, _ port: Int64 = 80) -> JSONValue {
        [
            "metadata": ["name": .string(name), "namespace": "shop"],
            "spec": ["ports": [["port": .number("\(port)")]]],
        ]
    }

    @Test("has the objects it had, under higher versions, and no history")
    func restart() throws {
        var state = DoubleState(resources: Self.resources)
        let start = state.version
        state.put(.services, Self.service("web"))
        var written = state.lines(after: start)
        let middle = state.version
        state.put(.services, Self.service("web", 81))
        state.put(.services, Self.service("gone"))
        state.remove(.services, namespace: "shop", name: "gone")
        written += state.lines(after: middle)
        // The last line was cut off, and nobody was told of it.
        var next = try DoubleState(
            lines: written + "{\"kind\":\"Serv".utf8, resources: Self.resources)
        #expect(next.texts(.services) == state.texts(.services))
        #expect(next.version > state.version + 1000 && next.compacted == next.version)
        let reply = next.handle(
            DoubleRequest("GET", "/api/v1/services?watch=1&resourceVersion=\(state.version)"))
        guard case .watch(var cursor) = reply else {
            Issue.record("no watch")
            return
        }
        #expect(String(decoding: cursor.lines(of: next), as: UTF8.self).contains("\"code\":410"))
    }

    @Test("gives services addresses that applying them without leaves alone, and reuses none")
    func allocation() throws {
        var state = DoubleState(resources: Self.resources)
        state.serviceNetworks = [Prefix("10.96.0.0/16")!, Prefix("fd00:96::/112")!]
        func apply(_ name: String, _ port: Int64) throws -> JSONValue {
            var body = Self.service(name, port)
            body["apiVersion"] = "v1"
            body["kind"] = "Service"
            body["spec"]["ipFamilyPolicy"] = "PreferDualStack"
            let reply = state.handle(
                DoubleRequest(
                    "PATCH",
                    "/api/v1/namespaces/shop/services/\(name)?fieldManager=weft&force=false",
                    contentType: "application/apply-patch+yaml", body: body.bytes))
            guard case .answer(let answer) = reply, answer.status < 300 else { return .null }
            return try JSONValue(answer.body)["spec"]
        }
        let first = try apply("a", 80)
        #expect(first["clusterIPs"] == ["10.96.0.100", "fd00:96::64"])
        let again = try apply("a", 81)
        #expect(again["clusterIPs"] == first["clusterIPs"])
        #expect(again["ports"] == [["port": 81]])
        #expect(try apply("b", 80)["clusterIP"] == "10.96.0.101")
    }

    @Test("a status that is applied leaves the rest alone, and the other way round")
    func status() throws {
        var state = DoubleState(resources: Self.resources)
        let path = "/apis/multicluster.x-k8s.io/v1beta1/namespaces/shop/serviceimports/web"
        func apply(_ part: String, _ fields: JSONValue) throws -> (Int, JSONValue) {
            var body: JSONValue = [
                "apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceImport",
                "metadata": ["name": "web", "namespace": "shop"],
            ]
            for member in fields.members { body[member.key] = member.value }
            let reply = state.handle(
                DoubleRequest(
                    "PATCH", path + part + "?fieldManager=weft&force=false",
                    contentType: "application/apply-patch+yaml", body: body.bytes))
            guard case .answer(let answer) = reply else { return (0, .null) }
            return (answer.status, try JSONValue(answer.body))
        }
        let clusters: JSONValue = ["clusters": [["cluster": "east"]]]
        #expect(try apply("/status", ["status": clusters]).0 == 404)
        #expect(try apply("", ["spec": ["type": "Headless"]]).0 == 201)
        let (_, told) = try apply("/status", ["status": clusters])
        #expect(told["status"] == clusters && told["spec"]["type"] == "Headless")
        let (_, changed) = try apply("", ["spec": ["type": "ClusterSetIP"], "status": .null])
        #expect(changed["status"] == clusters && changed["spec"]["type"] == "ClusterSetIP")
    }
}
