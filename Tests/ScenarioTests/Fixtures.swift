// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshDatapath
import MeshModel

func cluster(_ number: UInt16) -> ClusterID { ClusterID(rawValue: number)! }

/// A Service in the namespace `default`, as a manifest; `more` are further lines of its spec.
func service(
    _ name: String = "echo", ip: String = "10.96.0.1", global: Bool = true,
    affinity: String = "none", ports: String = "[{name: http, port: 80}]", more: String = ""
) -> String {
    """
    ---
    apiVersion: v1
    kind: Service
    metadata:
      name: \(name)
      annotations: {weft.io/global: "\(global)", weft.io/affinity: "\(affinity)"}
    spec:
      clusterIP: \(ip)
      ports: \(ports)
      \(more)

    """
}

/// An EndpointSlice of a service in the namespace `default`.
func slice(
    name: String = "echo-1", of service: String = "echo",
    ports: String = "[{name: http, port: 8080}]", _ endpoints: String...
) -> String {
    """
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata:
      name: \(name)
      labels: {kubernetes.io/service-name: \(service)}
    addressType: IPv4
    ports: \(ports)
    endpoints: [\(endpoints.joined(separator: ", "))]

    """
}

func at(_ address: String, node: String = "a", _ conditions: String = "ready: true") -> String {
    "{addresses: [\"\(address)\"], nodeName: \(node), conditions: {\(conditions)}}"
}

func pod(_ name: String, _ labels: String) -> String {
    """
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: \(name), labels: \(labels)}

    """
}

/// A folder of manifests, gone when the test is.
final class ManifestsOnDisk {
    let path: String

    init() throws {
        path =
            FileManager.default.temporaryDirectory.path + "/weft-scenario-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        // A folder left behind fails no test.
        _ = try? FileManager.default.removeItem(atPath: path)
    }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
    }

    func remove(_ name: String) throws {
        try FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
}

extension ServiceReading {
    /// For each slice `tier.cluster*weight address:port@node …`, as a program finds them.
    var story: [String] {
        slices.map { slice in
            "\(slice.tier).\(slice.cluster)*\(slice.weight) "
                + slice.backends.map { "\($0.address):\($0.port)@\($0.node?.name ?? "?")" }
                .joined(separator: " ")
        }
    }
}
