// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel

/// Objects of a large cluster as its API server has them, with the fields that real ones have.
enum KubernetesObjects {
    static let backendsPerService = 10
    private static let serviceBase = Address(ipv4: 0x0ac9_1000)  // 10.201.16.0
    private static let podBase = Address(ipv4: 0x0a01_4000)  // 10.1.64.0

    static func address(ofService number: Int) -> Address {
        serviceBase.advanced(by: UInt64(number))
    }

    static func service(_ number: Int) -> JSONValue {
        let address = JSONValue.string("\(address(ofService: number))")
        return typed(
            "v1", "Service", name: "s\(number)",
            annotations: ["service.cilium.io/global": "true"],
            (
                "spec",
                [
                    "clusterIP": address, "clusterIPs": [address], "type": "ClusterIP",
                    "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                    "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                    "selector": ["app": .string("s\(number)")],
                    "ports": [
                        ["name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080]
                    ],
                ]
            ), ("status", ["loadBalancer": .object([])]))
    }

    /// - Parameter shift: another one makes other addresses.
    static func slice(_ number: Int, nodes: [String], shift: Int = 0) -> JSONValue {
        let endpoints = (0..<backendsPerService).map { index -> JSONValue in
            let serial = number * backendsPerService + index
            let pod = podBase.advanced(by: UInt64(serial + shift))
            return [
                "addresses": [.string("\(pod)")],
                "conditions": ["ready": true, "serving": true, "terminating": false],
                "nodeName": .string(nodes[serial % nodes.count]), "zone": "east-1",
                "targetRef": [
                    "kind": "Pod", "namespace": "bench", "name": .string("s\(number)-\(index)"),
                    "uid": .string(uid(serial)),
                ],
            ]
        }
        var slice = typed(
            "discovery.k8s.io/v1", "EndpointSlice", name: "s\(number)-x7k2p", annotations: [:],
            ("addressType", "IPv4"),
            ("ports", [["name": "http", "protocol": "TCP", "port": 8080]]),
            ("endpoints", .array(endpoints)))
        slice["metadata"]["labels"] = [
            "kubernetes.io/service-name": .string("s\(number)"),
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        ]
        return slice
    }

    static func pod(_ number: Int, on node: String, restarts: Int = 0) -> JSONValue {
        let environment = (0..<20).map { index -> JSONValue in
            ["name": .string("VARIABLE_\(index)"), "value": .string("value of \(index)")]
        }
        var pod = typed(
            "v1", "Pod", name: "p\(number)", annotations: ["checksum/config": .string(uid(number))],
            (
                "spec",
                [
                    "nodeName": .string(node), "restartPolicy": "Always",
                    "serviceAccountName": "default",
                    "containers": [
                        [
                            "name": "main", "image": "registry.example/app:1.2.3",
                            "env": .array(environment),
                            "ports": [["name": "http", "containerPort": 8080]],
                        ]
                    ],
                ]
            ),
            (
                "status",
                [
                    "phase": "Running", "podIP": .string("\(podBase.advanced(by: UInt64(number)))"),
                    "containerStatuses": [
                        [
                            "name": "main", "ready": true,
                            "restartCount": .number("\(restarts)"),
                        ]
                    ],
                ]
            ))
        pod["metadata"]["labels"] = [
            "app": .string("s\(number % 1000)"), "pod-template-hash": "6d4cf56db6",
        ]
        return pod
    }

    static func node(_ number: Int, heartbeat: Int = 0) -> JSONValue {
        let address = Address(ipv4: 0xac10_0000).advanced(by: UInt64(number))
        let conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map {
            (type) -> JSONValue in
            [
                "type": .string(type), "status": type == "Ready" ? "True" : "False",
                "reason": "KubeletHasWhatItNeeds", "lastHeartbeatTime": .string("\(heartbeat)"),
            ]
        }
        let images = (0..<20).map { index -> JSONValue in
            [
                "names": [.string("registry.example/image-\(index)@sha256:\(uid(index))")],
                "sizeBytes": .number("\(10_000_000 + index)"),
            ]
        }
        let prefix = JSONValue.string("10.\(64 + number / 256).\(number % 256).0/24")
        var node = typed(
            "v1", "Node", name: "node-\(number)", annotations: [:],
            ("spec", ["podCIDR": prefix, "podCIDRs": [prefix]]),
            (
                "status",
                [
                    "addresses": [["type": "InternalIP", "address": .string("\(address)")]],
                    "conditions": .array(conditions), "images": .array(images),
                ]
            ))
        node["metadata"]["namespace"] = .null
        return node
    }

    /// A line of an API server's file.
    static func line(_ object: JSONValue, version: Int) -> [UInt8] {
        var object = object
        object["metadata"]["resourceVersion"] = .string("\(version)")
        return object.bytes + "\n".utf8
    }

    private static func uid(_ number: Int) -> String {
        "00000000-0000-4000-8000-" + String(1_000_000_000_000 + number).dropFirst()
    }

    private static func typed(
        _ version: String, _ kind: String, name: String, annotations: JSONValue,
        _ fields: (String, JSONValue)...
    ) -> JSONValue {
        .object(
            [
                JSONMember("kind", .string(kind)), JSONMember("apiVersion", .string(version)),
                JSONMember(
                    "metadata",
                    [
                        "name": .string(name), "namespace": "bench",
                        "uid": .string(uid(name.utf8.reduce(0) { $0 &* 31 &+ Int($1) } & 0xffff)),
                        "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": annotations,
                    ]),
            ] + fields.map { JSONMember($0, $1) })
    }
}
