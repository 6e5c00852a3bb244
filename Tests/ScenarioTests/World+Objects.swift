// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel

@testable import MeshAgent

/// A cluster's API server: what it has, and whom it told.
final class SimulatedServer {
    /// How long a list takes.
    static let listing = Duration.milliseconds(300)

    struct Listener {
        let life: UInt64
        let since: Instant
        /// Nil until it was listed.
        var told: [RecordKey: [UInt8]]?
    }

    fileprivate(set) var objects: [RecordKey: [UInt8]] = [:]
    fileprivate var nodes: [String: MemberRecord] = [:]
    var records: [RecordKey: [UInt8]] {
        nodes.values.reduce(into: objects) { $0[$1.key] = $1.encoded }
    }
    var isDown = false
    var listeners: [NodeID: Listener] = [:]
    /// By node, how often it listed everything.
    var lists: [String: Int] = [:]
    /// By node, how often it asked for nodes alone.
    var searches: [String: Int] = [:]
}

extension World {
    /// The API server of a cluster has these objects and no others.
    func serve(_ number: UInt16, _ text: String) throws {
        let manifests = try ManifestsOnDisk()
        try manifests.write("all.yaml", text)
        var folder = ManifestFolder(path: manifests.path)
        _ = try folder.scan(nowUnixSeconds: 0)
        for problem in folder.snapshot.problems {
            throw SimulatedNode.Failure(description: "\(problem)")
        }
        servers[number]?.objects = folder.snapshot.exportedRecords
    }

    /// The API server of a cluster has these nodes and no others.
    func serveNodes(_ number: UInt16, _ names: [String]) {
        serve(
            number,
            nodes: names.map { name in
                let underlay = nodes[Self.id(number, name)]!.configuration.underlay
                return MemberRecord(name: name, addresses: [underlay], zone: "")
            })
    }

    func serve(_ number: UInt16, nodes records: [MemberRecord]) {
        servers[number]?.nodes = Dictionary(
            uniqueKeysWithValues: records.map { ($0.name, $0) })
    }

    /// Nodes that want to are told what the servers have.
    func followServers() {
        for id in ids {
            guard let server = servers[id.cluster.rawValue], let node = nodes[id],
                let core = node.agent?.core
            else { continue }
            if core.wantsNodes, core.seeds != server.nodes, !server.isDown {
                server.searches[id.name, default: 0] += 1
                act(id) { $0.setSeeds(server.nodes, into: &$1) }
            }
            guard core.wantsObjects(at: now) else {
                if server.listeners.removeValue(forKey: id)?.told != nil {
                    act(id) { $0.dropObjects(into: &$1) }
                }
                continue
            }
            guard !server.isDown else { continue }
            var listener =
                server.listeners[id].flatMap { $0.life == node.lives ? $0 : nil }
                ?? SimulatedServer.Listener(life: node.lives, since: now)
            if now - listener.since >= SimulatedServer.listing { tell(id, &listener, of: server) }
            server.listeners[id] = listener
        }
    }

    private func tell(
        _ id: NodeID, _ listener: inout SimulatedServer.Listener, of server: SimulatedServer
    ) {
        let known = listener.told ?? [:]
        var changes: [RecordKey: [UInt8]?] = [:]
        for (key, value) in server.records where known[key] != value { changes[key] = value }
        for key in known.keys where server.records[key] == nil { changes[key] = .some(nil) }
        guard listener.told == nil || !changes.isEmpty else { return }
        if listener.told == nil { server.lists[id.name, default: 0] += 1 }
        listener.told = server.records
        act(id) { $0.setObjects(changes, at: now, into: &$1) }
    }
}
