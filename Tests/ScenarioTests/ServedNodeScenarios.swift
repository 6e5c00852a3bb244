// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Logging
import MeshKubernetes
import MeshLease
import MeshModel
import Testing

@testable import MeshAgent

private func service(_ name: String, _ spec: JSONValue) -> JSONValue {
    ["metadata": ["name": .string(name), "namespace": "shop"], "spec": spec]
}

private func web(_ address: String = "10.96.0.1") -> JSONValue {
    service(
        "web",
        [
            "clusterIP": .string(address), "clusterIPs": [.string(address), "fd00:96::1"],
            "type": "LoadBalancer", "ports": [["name": "http", "protocol": "TCP", "port": 80]],
        ])
}

private func slice(_ name: String, _ family: String, _ addresses: String...) -> JSONValue {
    [
        "metadata": [
            "name": .string(name), "namespace": "shop",
            "labels": ["kubernetes.io/service-name": "web"],
        ],
        "addressType": .string(family),
        "ports": [["name": "http", "protocol": "TCP", "port": 8080]],
        "endpoints": .array(
            addresses.map {
                ["addresses": [.string($0)], "conditions": ["ready": true], "nodeName": "a"]
            }),
    ]
}

private func pod(_ name: String, on node: String, app: String) -> JSONValue {
    [
        "metadata": [
            "name": .string(name), "namespace": "shop", "labels": ["app": .string(app)],
        ],
        "spec": ["nodeName": .string(node), "containers": [["name": "c"]]],
    ]
}

private func machine(_ name: String, _ address: String, podCIDR: String? = "10.1.0.0/24")
    -> JSONValue
{
    var machine: JSONValue = [
        "metadata": [
            "name": .string(name),
            "labels": ["topology.kubernetes.io/zone": "east-1"],
        ],
        "spec": .object([]),
        "status": [
            "addresses": [
                ["type": "Hostname", "address": .string(name)],
                ["type": "InternalIP", "address": .string(address)],
            ],
            "conditions": [["type": "Ready", "status": "False"]],
        ],
    ]
    if let podCIDR {
        machine["spec"]["podCIDR"] = .string(podCIDR)
        machine["spec"]["podCIDRs"] = [.string(podCIDR)]
    }
    return machine
}

@Suite("A node and an API server, over sockets")
struct ServedNodeScenarios {
    private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let disk: ManifestsOnDisk
    private let node: ServedNode
    private let server: APIServerDouble

    init() throws {
        disk = try ManifestsOnDisk()
        node = try ServedNode()
        var state = DoubleState()
        state.put(.namespaces, ["metadata": ["name": "shop"]])
        state.put(.services, web())
        state.put(.endpointSlices, slice("web-v4", "IPv4", "10.1.0.10", "10.1.0.11"))
        state.put(.endpointSlices, slice("web-v6", "IPv6", "fd00:1::10"))
        state.put(.pods, pod("web-1", on: "a", app: "web"))
        state.put(.pods, pod("web-2", on: "b", app: "web"))
        server = APIServerDouble(state, logger: log)
    }

    private func objects(_ client: KubernetesClient) -> ObjectService {
        ObjectService(
            settings: KubernetesSettings(
                source: .inCluster(folder: nil), server: nil, nodeName: "a"),
            state: node, memory: PodMemory(folder: disk.path), log: log
        ) { selection, consumer in
            await Reflector(selection, client: client, consumer: consumer).run()
        }
    }

    /// Runs `body` while the node listens to the server.
    private func listening(
        to server: APIServerDouble, _ body: (ObjectService) async throws -> Void
    ) async throws {
        try await server.serving { client in
            let objects = objects(client)
            try await withThrowingTaskGroup { group in
                group.addTask { await objects.run() }
                try await body(objects)
                group.cancelAll()
            }
        }
    }

    private func eventuallyServes(_ address: String, _ story: [String]?) async throws {
        try await eventually("\(address) → \(story ?? [])") {
            try await node.run(for: .milliseconds(20))
            return await node.frontend(address) == story
        }
    }

    @Test("what the server has is in the kernel's maps, and so is every change; own pods are known")
    func follows() async throws {
        try await listening(to: server) { objects in
            try await eventuallyServes("10.96.0.1", ["0.1*255 10.1.0.10:8080@a 10.1.0.11:8080@a"])
            try await eventuallyServes("fd00:96::1", ["0.1*255 fd00:1::10:8080@a"])
            try await eventually("own pods") { await node.pods?.count == 1 }
            let own = ObjectName(namespace: "shop", name: "web-1")
            #expect(await node.pods?[own]?.labels == ["app": "web"])
            #expect(try PodMemory(folder: disk.path).read()?[own]?.labels == ["app": "web"])

            server.change { $0.put(.endpointSlices, slice("web-v4", "IPv4", "10.1.0.11")) }
            try await eventuallyServes("10.96.0.1", ["0.1*255 10.1.0.11:8080@a"])
            server.change { $0.put(.services, web("10.96.0.2")) }
            try await eventuallyServes("10.96.0.2", ["0.1*255 10.1.0.11:8080@a"])
            try await eventuallyServes("10.96.0.1", nil)
            // What can't be read stays as it was, and is told; the rest goes on.
            server.change {
                var broken = web("10.96.0.2")
                broken["spec"]["ports"] = [["name": "http", "port": 70_000]]
                $0.put(.services, broken)
                $0.put(.endpointSlices, slice("web-v4", "IPv4", "10.1.0.12"))
            }
            try await eventuallyServes("10.96.0.2", ["0.1*255 10.1.0.12:8080@a"])
            #expect(
                await objects.problems.map(\.description) == [
                    "API server: Service shop/web: spec.ports[0].port is 70000; must be 1...65535"
                ])
            // Its author is told, as the publisher tells of a service and nobody of another's.
            #expect(await objects.problems(isPublisher: false).isEmpty)
            try await told(objects)
            server.change { $0.remove(.services, namespace: "shop", name: "web") }
            try await eventuallyServes("10.96.0.2", nil)
            #expect(await objects.problems.isEmpty)
        }
    }

    /// Sends the Events that are due, and once more from another node.
    private func told(_ objects: ObjectService) async throws {
        let problems = await objects.problems(isPublisher: true)
        for node in ["a", "b"] {
            let service = EventService(
                node: node, log: log, problems: { problems },
                read: { [server] (request) throws(KubernetesError) in try server.take(request) },
                write: { [server] request in try server.take(request) })
            var plan = ObjectEventPlan()
            for report in plan.due(problems, at: .bootNow) { try await service.tell(report) }
        }
        let events = server.state.texts(.events).values
        #expect(events.count == 1)
        let event = try JSONValue(try #require(events.first))
        #expect(event["regarding"]["name"] == "web" && event["regarding"]["uid"].text != nil)
        #expect(event["note"].text?.contains("spec.ports[0].port is 70000") == true)
        #expect(event["series"]["count"] == 2)
    }

    @Test("what is another cluster's is told on the object that claims it, found by its UID")
    func claims() async throws {
        var shared = web()
        shared["metadata"]["annotations"] = ["weft.io/global": "true"]
        server.change { [shared] in
            $0.put(.services, shared)
            $0.put(.endpointSlices, slice("web-v4", "IPv4", "10.1.0.10", "10.2.0.7"))
        }
        try await listening(to: server) { objects in
            try await eventually("a claim") { await !objects.claimProblems.isEmpty }
            #expect(await objects.problems(isPublisher: false).isEmpty)
            let problems = await objects.problems(isPublisher: true)
            let service = EventService(
                node: "a", log: log, problems: { problems },
                read: { [server] (request) throws(KubernetesError) in try server.take(request) },
                write: { [server] request in try server.take(request) })
            var plan = ObjectEventPlan()
            let report = try #require(plan.due(problems, at: .bootNow).first)
            try await service.tell(report)
            let event = try JSONValue(try #require(server.state.texts(.events).values.first))
            let slice = try #require(
                server.state.object(.endpointSlices, namespace: "shop", name: "web-v4"))
            #expect(event["regarding"]["uid"] == slice["metadata"]["uid"])
            #expect(event["regarding"]["kind"] == "EndpointSlice" && event["reason"] == "Collides")
            #expect(event["note"].text?.hasPrefix("10.2.0.7 collides with 10.2.0.0/16") == true)
            // Of an object that is gone nobody is told.
            server.change { $0.remove(.endpointSlices, namespace: "shop", name: "web-v4") }
            try await service.tell(report)
            #expect(server.state.count(.events) == 1)
            try await eventually("nothing") { await objects.claimProblems.isEmpty }
        }
    }

    @Test(
        "nodes are followed, ready or not; one without a pod CIDR is told, and left out until it has one"
    )
    func nodes() async throws {
        server.change {
            $0.put(.nodes, machine("a", "192.0.2.10"))
            $0.put(.nodes, machine("b", "192.0.2.98", podCIDR: nil))
        }
        try await listening(to: server) { objects in
            func eventuallyMembers(_ others: String...) async throws {
                try await eventually("members \(others)") {
                    try await node.run(for: .milliseconds(20))
                    return await node.members == ["a 192.0.2.10"] + others
                }
            }
            try await eventuallyServes("10.96.0.1", ["0.1*255 10.1.0.10:8080@a 10.1.0.11:8080@a"])
            #expect(await node.members == ["a 192.0.2.10"])
            #expect(
                await objects.problems.map(\.description) == [
                    "API server: Node b: has no spec.podCIDR; the node is left out until it is given one"
                ])
            server.change { $0.put(.nodes, machine("b", "192.0.2.98", podCIDR: "10.1.1.0/24")) }
            try await eventuallyMembers("b 192.0.2.98")
            #expect(await objects.problems.isEmpty)
            server.change { $0.put(.nodes, machine("b", "192.0.2.99", podCIDR: "10.1.1.0/24")) }
            try await eventuallyMembers("b 192.0.2.99")
            server.change { $0.remove(.nodes, namespace: "", name: "b") }
            try await eventuallyMembers()
        }
    }

    @Test("what its Node object says of its pods' prefixes is enough, and remembered")
    func ownNode() async throws {
        var configuration = await node.configuration
        configuration.podPrefixes = []
        configuration.zone = ""
        let expected = [Prefix("10.1.7.0/24")!]
        try await server.serving { client in
            let own = OwnNode(folder: disk.path, log: log) { name in
                try NodeManifest(json: try await client.get(ObjectPath(.nodes, name: name)))
            }
            // First there is no such object, then it has no prefix.
            let waiting = Task { [configuration] in try await own.complete(configuration) }
            try await eventually("a question") { server.counters.requests["get", default: 0] > 0 }
            server.change { $0.put(.nodes, machine("a", "192.0.2.10", podCIDR: nil)) }
            try await eventually("another") { server.counters.requests["get", default: 0] > 1 }
            server.change { $0.put(.nodes, machine("a", "192.0.2.10", podCIDR: "10.1.7.0/24")) }
            let completed = try await waiting.value
            #expect(completed.podPrefixes == expected && completed.zone == "east-1")
            server.inject(.fail, count: 100)
            let remembered = try await own.complete(configuration)
            #expect(remembered.podPrefixes == expected && remembered.zone == "east-1")
            // What is configured isn't asked for.
            let asked = server.counters.total
            configuration.podPrefixes = [Prefix("10.9.0.0/24")!]
            #expect(try await own.complete(configuration).podPrefixes == configuration.podPrefixes)
            #expect(server.counters.total == asked)
        }
    }

    @Test(
        "ten minutes without the server change nothing; when it is back, what happened meanwhile counts"
    )
    func withoutServer() async throws {
        let story = ["0.1*255 10.1.0.10:8080@a 10.1.0.11:8080@a"]
        try await listening(to: server) { objects in
            try await eventuallyServes("10.96.0.1", story)
            server.inject(.fail, count: 10_000)
            server.cutConnections()
            try await eventually("the loss") {
                await objects.sources.contains { $0.health?.phase == .stale }
            }
            let handedOver = await node.handedOver
            try await node.expectUnchanged("10.96.0.1", for: .seconds(600))
            #expect(await node.handedOver == handedOver)
            #expect(await node.pods?.count == 1)
        }
        // Restarted with another history: the node lists again.
        var state = server.state
        state.put(.endpointSlices, slice("web-v4", "IPv4", "10.1.0.12"))
        state.compact()
        let restarted = APIServerDouble(state, logger: log)
        try await listening(to: restarted) { _ in
            try await eventuallyServes("10.96.0.1", ["0.1*255 10.1.0.12:8080@a"])
        }
    }
}
