// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshEndpoints
import MeshModel
import Netlink
import Synchronization
import Testing

/// A node of one test: a namespace, a folder for its state, and namespaces for workloads.
final class TestNode {
    private static let count = Atomic<Int>(0)

    let namespace: NetworkNamespace
    let folder: String
    private let prefix: String
    private var names: [String]

    init() throws {
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        prefix = "wtest-endpoints-\(getpid())-\(number)"
        folder = "/tmp/\(prefix)"
        try #require(mkdir(folder, 0o755) == 0)
        namespace = try NetworkNamespace.create(named: prefix)
        names = [prefix]
        var socket = try RouteSocket(in: namespace)
        let loopback = try #require(try socket.link(named: "lo")).index
        try socket.update(link: loopback, LinkChange(isUp: true))
        // What the node's own processes talk from.
        for (text, length) in [("172.31.9.1", UInt8(32)), ("fd31::9:1", 128)] {
            try socket.add(
                InterfaceAddress(
                    interface: loopback, address: try #require(NetworkAddress(text)),
                    prefixLength: length))
        }
    }

    func remove() {
        for name in names { removeWorkload(name) }
        unlink(folder + "/endpoints.json")
        rmdir(folder)
    }

    /// A manager as the node's agent would have it; making another one is a restart.
    func manager(
        prefixes: [String] = ["10.9.1.0/24", "fd00:9:1::/64"]
    ) throws -> EndpointManager {
        let prefixes = try prefixes.map { try #require(Prefix($0)) }
        let file = folder + "/endpoints.json"
        return try namespace.run {
            try EndpointManager(.init(podPrefixes: prefixes, stateFile: file))
        }
    }

    /// Creates a workload's namespace and returns its path.
    func workload(_ name: String) throws -> String {
        let name = "\(prefix)-\(name)"
        _ = try NetworkNamespace.create(named: name)
        names.append(name)
        return NetworkNamespace.path(of: name)
    }

    func request(
        _ name: String, in path: String, addresses: [String]? = nil
    ) throws -> EndpointRequest {
        EndpointRequest(
            object: ObjectName(namespace: "demo", name: name), labels: ["app": name],
            namespacePath: path,
            addresses: try addresses?.map { try #require(Address($0)) })
    }

    func removeWorkload(_ name: String) {
        do {
            try NetworkNamespace.delete(named: name)
        } catch {
            print("left behind: \(error)")
        }
    }

    /// Names of the node's links, without loopback.
    func links() throws -> [String] {
        var socket = try RouteSocket(in: namespace)
        return try socket.links().map(\.name).filter { $0 != "lo" }.sorted()
    }

    func route(to address: Address) throws -> Route? {
        var socket = try RouteSocket(in: namespace)
        return try socket.routes().first {
            Address(bytes: $0.destination.bytes) == address
                && $0.prefixLength == $0.destination.bitWidth
        }
    }
}

/// Runs `body` with a fresh node, and removes it whatever happens.
func withNode(_ body: (TestNode) throws -> Void) throws {
    let node = try TestNode()
    defer { node.remove() }
    try body(node)
}

struct Refused: Error {}

func noPreparation(_: LocalEndpoint) {}
