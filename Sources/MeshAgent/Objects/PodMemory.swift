// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshKubernetes
import MeshModel
import MeshPolicy

/// What was known of this node's pods when the agent ended: an agent that starts while the API server
/// doesn't answer must not tell its endpoints without their labels.
///
/// JSON, bounded as a node's pods are; not secret.
struct PodMemory: Sendable {
    private struct Pod: Codable {
        let namespace: String
        let name: String
        let labels: Labels
        let ports: [Port]
        let isAudited: Bool
        let uid: String?
    }

    private struct Port: Codable {
        let name: String
        let transport: UInt8
        let port: UInt16
    }

    /// Some 250 pods with as many labels as there may be.
    private static let maximumBytes = 4 << 20

    private let isNeeded: Bool
    private let file: DurableFile

    init(_ configuration: AgentConfiguration) {
        self.init(folder: configuration.paths.state, isNeeded: configuration.kubernetes != nil)
    }

    init(folder: String, isNeeded: Bool = true) {
        self.isNeeded = isNeeded
        file = DurableFile(path: folder + "/pods.json", maximumBytes: Self.maximumBytes)
    }

    /// What an agent goes by that starts: nothing is missing without an API server.
    var pods: [ObjectName: PodManifest]? {
        get throws { isNeeded ? try read() : [:] }
    }

    /// - Returns: nil if nothing was written down, or nothing that can be read: the agent waits for
    ///   the API server then.
    func read() throws(DurableFile.Failure) -> [ObjectName: PodManifest]? {
        guard let text = try file.read() else { return nil }
        let pods: [Pod]
        do {
            pods = try JSONDecoder().decode([Pod].self, from: Data(text.utf8))
        } catch {
            return nil
        }
        var result: [ObjectName: PodManifest] = [:]
        for pod in pods {
            let ports = pod.ports.compactMap { port in
                TransportProtocol(rawValue: port.transport).map {
                    NamedPort(name: port.name, transport: $0, port: port.port)
                }
            }
            result[ObjectName(namespace: pod.namespace, name: pod.name)] = PodManifest(
                labels: pod.labels, namedPorts: ports, isAudited: pod.isAudited,
                uid: pod.uid)
        }
        return result
    }

    /// Returns when it is on disk.
    func write(_ pods: [ObjectName: PodManifest]) throws {
        let sorted = pods.sorted { $0.key < $1.key }.map { name, pod in
            Pod(
                namespace: name.namespace, name: name.name, labels: pod.labels,
                ports: pod.namedPorts.map {
                    Port(name: $0.name, transport: $0.transport.rawValue, port: $0.port)
                }, isAudited: pod.isAudited, uid: pod.uid)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        try file.write(String(decoding: try encoder.encode(sorted), as: UTF8.self))
    }
}
