// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshEndpoints
import MeshModel
import Netlink
import Testing

/// What container runtimes ask for.
@Suite(.tags(.kernel)) struct RuntimeTests {
    private func key(_ container: String = "c1") -> RuntimeAttachment.Key {
        RuntimeAttachment.Key(container: container, interface: "eth0")
    }

    private func request(
        _ name: String = "web", in path: String, container: String = "c1",
        chained addresses: [String]? = nil
    ) throws -> EndpointRequest {
        EndpointRequest(
            object: ObjectName(namespace: "demo", name: name), namespacePath: path,
            addresses: try addresses?.map { try #require(Address($0)) },
            attachment: RuntimeAttachment(
                key: key(container), network: "weft", podUID: "0-1",
                isChained: addresses != nil))
    }

    /// A cable as another plugin makes it; returns the index of the node's end.
    private func cable(_ node: TestNode, _ path: String, _ name: String = "veth1") throws -> UInt32
    {
        let namespace = try NetworkNamespace(path: path)
        var host = try RouteSocket(in: node.namespace)
        try host.createVeth(VethEnd(name: name), VethEnd(name: "eth0", namespace: namespace))
        return try #require(try host.link(named: name)).index
    }

    @Test("a container is found, checked and detached by its own name")
    func life() throws {
        try withNode { node in
            let manager = try node.manager()
            let path = try node.workload("web")
            let endpoint = try manager.attach(
                try request(in: path), prepare: noPreparation)
            #expect(endpoint.attachment?.key == key() && endpoint.attachment?.podUID == "0-1")
            #expect(manager.endpoint(attachedAs: key()) == endpoint)
            #expect(try manager.check(key()) == endpoint)
            #expect(try manager.attach(try request(in: path)) { _ in throw Refused() } == endpoint)
            #expect(try manager.detach(key("c2")) == nil)
            #expect(try manager.detach(key()) == endpoint)
            #expect(try manager.detach(key()) == nil)
            #expect(try node.links().isEmpty)
            let error = #expect(throws: EndpointError.self) { try manager.check(key()) }
            #expect(error?.code == .notFound)
        }
    }

    @Test("a container is known after a restart, by its own name")
    func restart() throws {
        try withNode { node in
            let path = try node.workload("web")
            let endpoint = try node.manager().attach(
                try request(in: path), prepare: noPreparation)
            let restarted = try node.manager()
            #expect(restarted.restore(prepare: noPreparation).restored == [endpoint])
            #expect(try restarted.check(key()) == endpoint)
            #expect(try restarted.detach(key()) == endpoint)
        }
    }

    @Test("a check sees a namespace, or a link in it, that is another by now")
    func broken() throws {
        try withNode { node in
            let manager = try node.manager()
            let path = try node.workload("web")
            _ = try manager.attach(try request(in: path), prepare: noPreparation)
            var inside = try RouteSocket(in: try NetworkNamespace(path: path))
            let link = try #require(try inside.link(named: "eth0"))
            try inside.update(link: link.index, LinkChange(name: "eth9"))
            let error = #expect(throws: EndpointError.self) { try manager.check(key()) }
            #expect(error?.code == .notFound && error?.message.contains("eth0") == true)
            #expect(try manager.detach(key()) != nil)
        }
    }

    @Test("a link that another plugin made gets programs, and stays as it is")
    func adoption() throws {
        try withNode { node in
            let manager = try node.manager()
            let path = try node.workload("web")
            let index = try cable(node, path)
            let addresses = ["10.9.1.1", "fd00:9:1::77"]
            var prepared: [LocalEndpoint] = []
            let endpoint = try manager.attach(try request(in: path, chained: addresses)) {
                prepared.append($0)
            }
            #expect(prepared == [endpoint])
            #expect(endpoint.hostInterface == "veth1" && endpoint.interfaceIndex == index)
            #expect(endpoint.addresses.map(\.description) == addresses)
            var inside = try RouteSocket(in: try NetworkNamespace(path: path))
            let link = try #require(try inside.link(named: "eth0"))
            #expect(link.hardwareAddress == endpoint.hardwareAddress)
            // Neither address, nor route, nor up: all that is the other plugin's.
            #expect(!link.isUp)
            #expect(try node.route(to: endpoint.addresses[0]) == nil)

            let restarted = try node.manager()
            #expect(restarted.restore(prepare: noPreparation).restored == [endpoint])
            #expect(try restarted.check(key()) == endpoint)
            #expect(try restarted.detach(key()) == endpoint)
            #expect(try node.links() == ["veth1"])
        }
    }

    @Test("an adoption that fails leaves the link and takes no address")
    func failedAdoption() throws {
        try withNode { node in
            let manager = try node.manager()
            let path = try node.workload("web")
            _ = try cable(node, path)
            let wanted = try request(in: path, chained: ["10.9.1.9"])
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(wanted) { _ in throw Refused() }
            }
            #expect(error?.code == .notPrepared)
            #expect(try node.links() == ["veth1"] && manager.endpoints.isEmpty)
            _ = try manager.attach(wanted, prepare: noPreparation)
        }
    }

    @Test(
        "what can't be announced isn't adopted",
        arguments: [
            (["10.9.2.9"], EndpointError.Code.addressNotInPrefix), ([], .addressNotInPrefix),
            (["10.9.1.9", "192.0.2.1"], .addressNotInPrefix), (["10.9.1.2"], .addressInUse),
            ((1...17).map { "10.9.1.\($0 + 20)" }, .addressNotInPrefix),
        ])
    func wrongAddress(_ addresses: [String], _ code: EndpointError.Code) throws {
        try withNode { node in
            let manager = try node.manager()
            _ = try manager.attach(
                try node.request("db", in: try node.workload("db")), prepare: noPreparation)
            let path = try node.workload("web")
            _ = try cable(node, path)
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(
                    try request(in: path, chained: addresses), prepare: noPreparation)
            }
            #expect(error?.code == code)
            #expect(manager.endpoints.map(\.object.name) == ["db"])
        }
    }

    @Test("a link that isn't there, or doesn't end at this node, can't be adopted")
    func unusable() throws {
        try withNode { node in
            let manager = try node.manager()
            let path = try node.workload("web")
            func adopt() -> EndpointError? {
                #expect(throws: EndpointError.self) {
                    try manager.attach(
                        try request(in: path, chained: ["10.9.1.9"]), prepare: noPreparation)
                }
            }
            #expect(adopt()?.code == .unusableLink)
            // A cable to a third namespace.
            let other = try NetworkNamespace(path: try node.workload("other"))
            let namespace = try NetworkNamespace(path: path)
            var socket = try RouteSocket(in: other)
            try socket.createVeth(VethEnd(name: "x"), VethEnd(name: "eth0", namespace: namespace))
            #expect(adopt()?.code == .unusableLink)
            #expect(manager.endpoints.isEmpty)
        }
    }

    @Test("an address whose link is gone can be given to the next container")
    func reused() throws {
        try withNode { node in
            let manager = try node.manager()
            let first = try node.workload("first")
            let index = try cable(node, first, "veth1")
            _ = try manager.attach(
                try request("first", in: first, chained: ["10.9.1.9"]), prepare: noPreparation)
            let second = try node.workload("second")
            _ = try cable(node, second, "veth2")
            let next = try request("second", in: second, container: "c2", chained: ["10.9.1.9"])
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(next, prepare: noPreparation)
            }
            #expect(error?.code == .addressInUse)
            var host = try RouteSocket(in: node.namespace)
            try host.deleteLink(index: index)
            let endpoint = try manager.attach(next, prepare: noPreparation)
            #expect(manager.endpoints == [endpoint])
        }
    }

    @Test("an adopted link that went while the agent was away is named, for its programs")
    func stray() throws {
        try withNode { node in
            let path = try node.workload("web")
            let index = try cable(node, path)
            _ = try node.manager().attach(
                try request(in: path, chained: ["10.9.1.9"]), prepare: noPreparation)
            var inside = try RouteSocket(in: try NetworkNamespace(path: path))
            let link = try #require(try inside.link(named: "eth0"))
            try inside.update(link: link.index, LinkChange(name: "eth9"))
            let result = try node.manager().restore(prepare: noPreparation)
            #expect(result.lost.map(\.name) == ["web"] && result.strayInterfaces == [index])
            #expect(try node.links() == ["veth1"])
        }
    }

    @Test("the next addresses are said without being taken")
    func nextAddresses() throws {
        try withNode { node in
            let manager = try node.manager(prefixes: ["10.9.1.0/30"])
            #expect(try manager.nextAddresses().map(\.description) == ["10.9.1.2"])
            _ = try manager.attach(
                try request(in: try node.workload("web")), prepare: noPreparation)
            let error = #expect(throws: EndpointError.self) { try manager.nextAddresses() }
            #expect(error?.code == .exhausted)
        }
    }
}
