// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshEndpoints
import MeshModel
import Netlink
import Testing

@Suite(.tags(.kernel)) struct LifeTests {
    private let web = ObjectName(namespace: "demo", name: "web")

    @Test("an endpoint outlives its agent with its connections")
    func restart() throws {
        try withNode { node in
            let path = try node.workload("web")
            let endpoint = try node.manager().attach(
                try node.request("web", in: path), prepare: noPreparation)
            let connection = try Connection(from: node.namespace, to: path, endpoint.addresses[0])
            defer { connection.close() }

            let restarted = try node.manager()
            var prepared: [LocalEndpoint] = []
            let result = restarted.restore { prepared.append($0) }
            #expect(result.restored == [endpoint] && prepared == [endpoint])
            #expect(result.lost.isEmpty && result.failed.isEmpty)
            #expect(restarted.endpoints == [endpoint])
            var byte: UInt8 = 7
            #expect(send(connection.client, &byte, 1, 0) == 1)
            #expect(recv(connection.server, &byte, 1, 0) == 1 && byte == 7)
            // What was known before the restart is known after it.
            let again = try restarted.attach(try node.request("web", in: path)) { _ in
                throw Refused()
            }
            #expect(again == endpoint)
        }
    }

    @Test("an endpoint whose namespace went while the agent was away is forgotten")
    func lostNamespace() throws {
        try withNode { node in
            let path = try node.workload("web")
            let request = try node.request("web", in: path)
            do {
                _ = try node.manager().attach(request, prepare: noPreparation)
            }
            node.removeWorkload(String(path.dropFirst(NetworkNamespace.directory.count + 1)))
            let restarted = try node.manager()
            #expect(restarted.restore(prepare: noPreparation).lost == [web])
            #expect(restarted.endpoints.isEmpty)
            #expect(try node.links().isEmpty)
        }
    }

    @Test("an attach that a crash interrupted is undone at the next start")
    func interrupted() throws {
        try withNode { node in
            let path = try node.workload("web")
            let file = node.folder + "/endpoints.json"
            // The file as it was in the middle of an attach, and the link that was made by then.
            let manager = try node.manager()
            var snapshot: [UInt8] = []
            _ = try manager.attach(try node.request("web", in: path)) { _ in
                snapshot = try contents(of: file)
            }
            try write(snapshot, to: file)
            #expect(try node.links().count == 1)
            let restarted = try node.manager()
            let result = restarted.restore { _ in Issue.record("nothing is to be prepared") }
            #expect(result.lost == [web])
            #expect(try node.links().isEmpty)
            #expect(restarted.endpoints.isEmpty)
        }
    }

    @Test("an endpoint that can't be prepared again stays as it was and is reported")
    func unpreparedAfterRestart() throws {
        try withNode { node in
            let path = try node.workload("web")
            let endpoint = try node.manager().attach(
                try node.request("web", in: path), prepare: noPreparation)
            let result = try node.manager().restore { _ in throw Refused() }
            #expect(result.failed.map(\.code) == [.notPrepared])
            let connection = try Connection(from: node.namespace, to: path, endpoint.addresses[0])
            connection.close()
        }
    }

    @Test("a state file that isn't one stops the start instead of being overwritten")
    func damagedState() throws {
        try withNode { node in
            let file = node.folder + "/endpoints.json"
            try write(Array("{\"endpoints\": [".utf8), to: file)
            let error = #expect(throws: EndpointError.self) { try node.manager() }
            #expect(error?.code == .state)
            #expect(error?.message.contains(file) == true)
        }
    }

    @Test("detaching leaves nothing, twice, and frees the addresses")
    func detach() throws {
        try withNode { node in
            let path = try node.workload("web")
            let manager = try node.manager()
            let endpoint = try manager.attach(
                try node.request("web", in: path), prepare: noPreparation)
            #expect(try manager.detach(web) == endpoint)
            #expect(try manager.detach(web) == nil)
            #expect(try node.links().isEmpty)
            for address in endpoint.addresses { #expect(try node.route(to: address) == nil) }
            var inside = try RouteSocket(in: try NetworkNamespace(path: path))
            #expect(try inside.links().map(\.name) == ["lo"])
            #expect(try node.manager().restore(prepare: noPreparation).lost.isEmpty)
            let other = try manager.attach(
                try node.request("db", in: try node.workload("db")), prepare: noPreparation)
            #expect(other.addresses == endpoint.addresses)
        }
    }

    @Test("a reader that only waits for an address that is gone is told; others aren't")
    func resetSockets() throws {
        try withNode { node in
            let path = try node.workload("web")
            let manager = try node.manager()
            let endpoint = try manager.attach(
                try node.request("web", in: path), prepare: noPreparation)
            let connections = try endpoint.addresses.map {
                try Connection(from: node.namespace, to: path, $0)
            }
            defer { for connection in connections { connection.close() } }
            let gone = try #require(Address("172.31.9.1"))
            #expect(try manager.resetSockets(of: web, atMost: 0) { _, _ in true } == 0)
            #expect(try manager.resetSockets(of: web) { address, _ in address == gone } == 1)
            var byte: UInt8 = 0
            #expect(recv(connections[0].server, &byte, 1, Int32(MSG_DONTWAIT)) == -1)
            #expect(errno == ECONNABORTED)
            #expect(recv(connections[1].server, &byte, 1, Int32(MSG_DONTWAIT)) == -1)
            #expect(errno == EAGAIN)
            let error = #expect(throws: EndpointError.self) {
                try manager.resetSockets(of: ObjectName(namespace: "demo", name: "db")) { _, _ in
                    true
                }
            }
            #expect(error?.code == .notFound)
        }
    }
}

private func contents(of path: String) throws -> [UInt8] {
    let file = try #require(fopen(path, "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    return Array(bytes[..<fread(&bytes, 1, bytes.count, file)])
}

private func write(_ bytes: [UInt8], to path: String) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
}
