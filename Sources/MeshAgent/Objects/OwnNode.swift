// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshKubernetes
import MeshModel

/// What the API server says of the machine itself, for a configuration that leaves it out: the prefixes of
/// its pods, and its zone. Kept on disk: an agent that restarts must not need the API server.
struct OwnNode: Sendable {
    typealias Ask = @Sendable (_ name: String) async throws -> NodeManifest

    private struct Memory: Codable {
        let podPrefixes: [String]
        let zone: String
    }

    /// Between questions to a server that doesn't answer, or has no prefixes for the node yet.
    private static let pause = Duration.seconds(2)

    private let file: DurableFile
    private let log: Logger
    private let ask: Ask

    init(folder: String, log: Logger, ask: @escaping Ask) {
        file = DurableFile(path: folder + "/node.json")
        self.log = log
        self.ask = ask
    }

    /// The configuration with what it leaves to the API server; returns when that is known.
    ///
    /// - Throws: what the disk says, or that the task was cancelled.
    func complete(_ configuration: AgentConfiguration) async throws -> AgentConfiguration {
        guard configuration.podPrefixes.isEmpty, let settings = configuration.kubernetes else {
            return configuration
        }
        var told: String?
        while true {
            do {
                let node = try await ask(settings.nodeName)
                guard node.podPrefixes.isEmpty else {
                    try write(node)
                    return completed(configuration, node.podPrefixes, zone: node.zone)
                }
                note("Node \(node.name) has no spec.podCIDR", told: &told)
            } catch let error as KubernetesError {
                if let memory = try read() {
                    log.warning(
                        "This node goes by what its Node object said before",
                        metadata: ["error": "\(error)"])
                    return completed(
                        configuration, memory.podPrefixes.compactMap { Prefix($0) },
                        zone: memory.zone)
                }
                note("\(error)", told: &told)
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    private func note(_ reason: String, told: inout String?) {
        guard told != reason else { return }
        told = reason
        log.warning(
            "This node waits for the prefixes of its pods",
            metadata: ["reason": "\(reason)", "hint": "or set podPrefixes"])
    }

    private func completed(
        _ configuration: AgentConfiguration, _ prefixes: [Prefix], zone: String
    ) -> AgentConfiguration {
        var configuration = configuration
        configuration.podPrefixes = prefixes
        if configuration.zone.isEmpty { configuration.zone = zone }
        return configuration
    }

    private func read() throws -> Memory? {
        guard let text = try file.read(),
            let memory = try? JSONDecoder().decode(Memory.self, from: Data(text.utf8)),
            !memory.podPrefixes.isEmpty, memory.podPrefixes.allSatisfy({ Prefix($0) != nil })
        else { return nil }
        return memory
    }

    private func write(_ node: NodeManifest) throws {
        let memory = Memory(podPrefixes: node.podPrefixes.map(\.description), zone: node.zone)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(memory), as: UTF8.self)
        // Written at each start only if it says something else: the disk has better to do.
        if try file.read() != text { try file.write(text) }
    }
}
