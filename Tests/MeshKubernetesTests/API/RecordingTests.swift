// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import MeshKubernetes
import Testing

@Suite("The double says what a real API server said")
struct RecordingTests {
    /// A server in the state of the recordings: their objects, and a history that begins at `first`.
    private func server(compacted: Bool = false) throws -> DoubleState {
        var state = DoubleState(
            resources: DoubleResource.builtIn + DoubleResource.multicluster, version: 200)
        for (file, resource) in [
            ("list-namespaces", ObjectResource.namespaces), ("list-nodes", .nodes),
            ("list-services", .services), ("list-endpointslices", .endpointSlices),
            ("list-networkpolicies", .networkPolicies), ("list-pods-page1", .pods),
            ("list-pods-page2", .pods), ("list-serviceexports", .serviceExports("v1beta1")),
        ] {
            for item in try Recording("\(file).http").json["items"].items {
                state.put(resource, item)
            }
        }
        if compacted { state.compact() }
        state.admit(DoubleUser("admin"), token: "REDACTED")
        return state
    }

    private func answer(
        _ state: inout DoubleState, _ recording: Recording
    ) throws -> DoubleAnswer {
        guard case .answer(let answer) = state.handle(recording.request) else {
            throw Unreadable("a watch")
        }
        return answer
    }

    private func compare(_ answer: DoubleAnswer, _ recording: Recording) throws {
        #expect(answer.status == recording.status)
        for name in ["Content-Type", "Cache-Control"] {
            #expect(answer.headers[name] == recording.headers[name.lowercased()])
        }
        guard answer.headers["Content-Type"] == "application/json" else {
            #expect(answer.body.dropLast() == recording.body[...])
            return
        }
        let (got, wanted) = (try JSONValue(answer.body), try recording.json)
        #expect(Shape.of(got) == Shape.of(wanted))
        if wanted["kind"] == "Status" {
            for key in ["reason", "code", "message", "details"]
            where key != "message" || recording.name != "malformed-400.http" {
                #expect(got[key] == wanted[key])
            }
        }
    }

    @Test(
        "lists and single objects have the same fields",
        arguments: [
            "list-namespaces.http", "list-nodes.http", "list-services.http",
            "list-endpointslices.http", "list-networkpolicies.http", "list-pods-page1.http",
            "list-serviceexports.http", "list-pods-of-node.http", "version.http",
            "list-missing-crd-404.http", "notfound-404.http", "get-node-protobuf-refused.http",
        ])
    func reading(name: String) throws {
        let recording = try Recording(name)
        var state = try server()
        try compare(try answer(&state, recording), recording)
    }

    @Test(
        "what it has forgotten is refused in the same words",
        arguments: ["list-continue-expired-410.http", "list-exact-too-old-410.http"])
    func forgetting(name: String) throws {
        let recording = try Recording(name)
        var state = try server(compacted: true)
        try compare(try answer(&state, recording), recording)
    }

    @Test("the next page of a list comes from the first one's version")
    func paging() throws {
        let (first, second) = (
            try Recording("list-pods-page1.http"), try Recording("list-pods-page2.http")
        )
        var state = try server()
        let page = try JSONValue(try answer(&state, first).body)
        state.remove(.pods, namespace: "shop", name: "web-1")
        var request = second.request
        request.query["continue"] = page["metadata"]["continue"].text
        guard case .answer(let answer) = state.handle(request) else { throw Unreadable("a watch") }
        #expect(answer.status == 200)
        let next = try JSONValue(answer.body)
        #expect(next["metadata"]["resourceVersion"] == page["metadata"]["resourceVersion"])
        let names = { (list: JSONValue) in list["items"].items.map { $0["metadata"]["name"] } }
        #expect(names(page) == names(try first.json))
        #expect(names(next) == names(try second.json))
    }

    @Test("who has no token, a wrong one or too few rights is refused in the same words")
    func refusals() throws {
        for name in [
            "unauthorized-401.http", "unauthorized-bad-token-401.http", "forbidden-403.http",
        ] {
            let recording = try Recording(name)
            var state = DoubleState()
            state.admit(DoubleUser("admin"), token: "admin")
            if name.hasPrefix("forbidden") {
                state.admit(DoubleUser("weak", rules: []), token: "REDACTED")
            }
            try compare(try answer(&state, recording), recording)
        }
    }

    @Test("a lease is created once, renewed by version, taken over, and never with a stale version")
    func lease() throws {
        var state = DoubleState(version: 264)
        state.admit(DoubleUser("admin"), token: "REDACTED")
        let created = try Recording("lease-create-201.http")
        try compare(try answer(&state, created), created)
        let again = try Recording("lease-create-409.http")
        try compare(try answer(&state, again), again)
        state.put(.configMaps, ["metadata": ["name": "other", "namespace": "kube-system"]])
        for name in ["lease-renew-200.http", "lease-conflict-409.http", "lease-takeover-200.http"] {
            let recording = try Recording(name)
            let answer = try answer(&state, recording)
            try compare(answer, recording)
            let version = { (value: JSONValue) in value["metadata"]["resourceVersion"] }
            #expect(version(try JSONValue(answer.body)) == version(try recording.json))
        }
        for name in ["lease-invalid-422.http", "malformed-400.http"] {
            let recording = try Recording(name)
            try compare(try answer(&state, recording), recording)
        }
    }

    @Test("an applied slice, a patched status and reviewed tokens have the same fields")
    func writes() throws {
        for name in [
            "server-side-apply-create.http", "serviceexport-status.http", "token-request-201.http",
        ] {
            let recording = try Recording(name)
            var state = try server()
            try compare(try answer(&state, recording), recording)
        }
        for (name, token) in [
            ("tokenreview-ok.http", "weft"), ("tokenreview-wrong-audience.http", "weft"),
            ("tokenreview-invalid.http", nil),
        ] {
            let recording = try Recording(name)
            var state = try server()
            state.admit(DoubleUser("admin"), token: "REDACTED")
            if let token {
                state.admit(
                    DoubleUser("system:serviceaccount:kube-system:weft", audiences: [token]),
                    token: "REDACTED.JSON.WEBTOKEN")
            }
            try compare(try answer(&state, recording), recording)
        }
    }

    @Test(
        "watches say the same: changes, a streaming list, a version that is gone",
        arguments: [
            "watch-endpointslices.http", "watch-list-endpointslices.http",
            "watch-too-old-410.http", "watch-too-old.http",
        ])
    func watching(name: String) throws {
        let recording = try Recording(name)
        let isGone = name.hasPrefix("watch-too-old")
        var state = try server(compacted: isGone)
        var request = recording.request
        if name == "watch-endpointslices.http" {
            request.query["resourceVersion"] = "\(state.version)"
        }
        guard case .watch(var cursor) = state.handle(request) else { throw Unreadable("no watch") }
        var bytes = cursor.lines(of: state)
        if name == "watch-endpointslices.http" {
            for line in recording.lines.prefix(4) {
                let event = try JSONValue(line)
                let metadata = event["object"]["metadata"]
                if event["type"] == "DELETED" {
                    state.remove(
                        .endpointSlices, namespace: metadata["namespace"].text ?? "",
                        name: metadata["name"].text ?? "")
                } else {
                    state.put(.endpointSlices, event["object"])
                }
            }
            bytes += cursor.lines(of: state) + cursor.bookmark(of: state)
            bytes += cursor.bookmark(of: state)
        }
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) }
        #expect(lines.count == recording.lines.count)
        for (got, wanted) in zip(lines, recording.lines) {
            let (got, wanted) = (try JSONValue(got), try JSONValue(wanted))
            #expect(got["type"] == wanted["type"])
            #expect(Shape.of(got) == Shape.of(wanted))
            #expect(got["object"]["reason"] == wanted["object"]["reason"])
        }
        #expect(cursor.isFinished == isGone)
    }

    @Test("every recording is held against the double, or tells something that it doesn't do")
    func coverage() {
        // A pod in its grace period is an object like any other.
        let others = ["pod-terminating.http"]
        #expect(Recording.names.count == 36)
        #expect(others.allSatisfy(Recording.names.contains))
    }
}

extension ObjectResource {
    static let configMaps = ObjectResource(
        group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", isNamespaced: true)
}
