// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshEndpoints
import MeshModel
import Netlink
import Testing

@Suite(.tags(.kernel)) struct AttachTests {
    @Test("an attached workload talks with its node over both families")
    func connectivity() throws {
        try withNode { node in
            let path = try node.workload("web")
            let manager = try node.manager()
            let endpoint = try manager.attach(
                try node.request("web", in: path), prepare: noPreparation)
            #expect(endpoint.addresses.map(\.description) == ["10.9.1.2", "fd00:9:1::2"])
            #expect(try node.links() == [endpoint.hostInterface])
            for address in endpoint.addresses {
                let connection = try Connection(from: node.namespace, to: path, address)
                connection.close()
            }
            #expect(manager.endpoints == [endpoint])
        }
    }

    @Test(
        "the endpoint's MTU leaves room for the outer headers",
        arguments: [(false, UInt32(1450)), (true, 1430)])
    func mtu(_ isIPv6: Bool, _ expected: UInt32) throws {
        try withNode { node in
            let path = try node.workload("web")
            var configuration = try node.manager().configuration
            configuration.underlayIsIPv6 = isIPv6
            let manager = try node.namespace.run { [configuration] in
                try EndpointManager(configuration)
            }
            let endpoint = try manager.attach(
                try node.request("web", in: path), prepare: noPreparation)
            var here = try RouteSocket(in: node.namespace)
            var inside = try RouteSocket(in: try NetworkNamespace(path: path))
            #expect(try here.link(named: endpoint.hostInterface)?.mtu == expected)
            #expect(try inside.link(named: "eth0")?.mtu == expected)
        }
    }

    @Test("until its programs are in place an endpoint is unreachable and mute")
    func isolation() throws {
        try withNode { node in
            let path = try node.workload("web")
            var asked: [LocalEndpoint] = []
            let endpoint = try node.manager().attach(try node.request("web", in: path)) {
                asked.append($0)
                var socket = try RouteSocket(in: node.namespace)
                let link = try #require(try socket.link(index: $0.interfaceIndex))
                #expect(!link.isUp)
                #expect(try node.route(to: $0.addresses[0]) == nil)
            }
            #expect(asked == [endpoint])
            #expect(try node.route(to: endpoint.addresses[0]) != nil)
        }
    }

    @Test("an endpoint whose programs can't be put in place leaves nothing, and no address taken")
    func failedPreparation() throws {
        try withNode { node in
            let path = try node.workload("web")
            let manager = try node.manager()
            let request = try node.request("web", in: path)
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(request) { _ in throw Refused() }
            }
            #expect(error?.code == .notPrepared)
            #expect(try node.links().isEmpty)
            #expect(manager.endpoints.isEmpty)
            #expect(try node.manager().restore(prepare: noPreparation).lost.isEmpty)
            let endpoint = try manager.attach(request, prepare: noPreparation)
            #expect(endpoint.addresses.map(\.description) == ["10.9.1.2", "fd00:9:1::2"])
        }
    }

    @Test("attaching the same again returns it unchanged; differently, it is refused")
    func twice() throws {
        try withNode { node in
            let path = try node.workload("web")
            let manager = try node.manager()
            let request = try node.request("web", in: path)
            let endpoint = try manager.attach(request, prepare: noPreparation)
            let again = try manager.attach(request) { _ in throw Refused() }
            #expect(again == endpoint)

            let other = try node.request("web", in: path, addresses: ["10.9.1.77"])
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(other, prepare: noPreparation)
            }
            #expect(error?.code == .exists)
            #expect(error?.description.contains("demo/web") == true)
            #expect(manager.endpoints == [endpoint])
        }
    }

    @Test("a workload made anew under its old path is attached anew")
    func recreated() throws {
        try withNode { node in
            let path = try node.workload("web")
            let manager = try node.manager()
            let request = try node.request("web", in: path)
            let first = try manager.attach(request, prepare: noPreparation)
            node.removeWorkload(String(path.dropFirst(NetworkNamespace.directory.count + 1)))
            #expect(try node.workload("web") == path)
            let second = try manager.attach(request, prepare: noPreparation)
            #expect(second.interfaceIndex != first.interfaceIndex)
            #expect(try node.links().count == 1)
            let connection = try Connection(from: node.namespace, to: path, second.addresses[0])
            connection.close()
        }
    }

    @Test("two workloads in one namespace need two names for their links")
    func takenInterface() throws {
        try withNode { node in
            let path = try node.workload("web")
            let manager = try node.manager()
            let first = try manager.attach(
                try node.request("web", in: path), prepare: noPreparation)
            var request = try node.request("db", in: path)
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(request, prepare: noPreparation)
            }
            #expect(error?.code == .kernel)
            #expect(try node.links() == [first.hostInterface])
            request.interfaceName = "not a link's name"
            #expect(throws: EndpointError.self) {
                try manager.attach(request, prepare: noPreparation)
            }
            #expect(manager.endpoints == [first])
        }
    }

    @Test("an unknown namespace is named, and nothing is taken")
    func unknownNamespace() throws {
        try withNode { node in
            let manager = try node.manager()
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(
                    try node.request("web", in: "/run/netns/nowhere"), prepare: noPreparation)
            }
            #expect(error?.code == .unknownNamespace)
            #expect(error?.message.contains("/run/netns/nowhere") == true)
            #expect(manager.endpoints.isEmpty)
        }
    }

    @Test("a full prefix refuses the next workload and keeps the others")
    func exhausted() throws {
        try withNode { node in
            let manager = try node.manager(prefixes: ["10.9.1.0/30"])
            _ = try manager.attach(
                try node.request("a", in: try node.workload("a")), prepare: noPreparation)
            let path = try node.workload("b")
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(try node.request("b", in: path), prepare: noPreparation)
            }
            #expect(error?.code == .exhausted)
            #expect(error?.message.contains("10.9.1.0/30") == true)
            #expect(manager.endpoints.map(\.object.name) == ["a"])
            try manager.detach(ObjectName(namespace: "demo", name: "a"))
            _ = try manager.attach(try node.request("b", in: path), prepare: noPreparation)
        }
    }

    @Test(
        "a requested address must be the node's, free, and one of its family",
        arguments: [
            (["10.9.2.5"], EndpointError.Code.addressNotInPrefix),
            (["10.9.1.255"], .addressNotInPrefix), (["10.9.1.5", "10.9.1.6"], .addressNotInPrefix),
            ([], .addressNotInPrefix), (["10.9.1.7"], .addressInUse),
        ])
    func requestedAddress(_ addresses: [String], _ code: EndpointError.Code) throws {
        try withNode { node in
            let manager = try node.manager()
            let first = try manager.attach(
                try node.request("a", in: try node.workload("a"), addresses: ["10.9.1.7"]),
                prepare: noPreparation)
            #expect(first.addresses.map(\.description) == ["10.9.1.7"])
            let request = try node.request("b", in: try node.workload("b"), addresses: addresses)
            let error = #expect(throws: EndpointError.self) {
                try manager.attach(request, prepare: noPreparation)
            }
            #expect(error?.code == code)
        }
    }
}
