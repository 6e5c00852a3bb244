// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Netlink

@Suite(.tags(.kernel)) struct LinkTests {
    @Test("a veth pair is created with its other end in another namespace")
    func veth() throws {
        try withNamespaces(2) { namespaces in
            var here = try RouteSocket(in: namespaces[0])
            var there = try RouteSocket(in: namespaces[1])
            let near = try #require(HardwareAddress("02:00:00:00:00:01"))
            let far = try #require(HardwareAddress("02:00:00:00:00:02"))
            try here.createVeth(
                VethEnd(name: "host0", hardwareAddress: near),
                VethEnd(name: "eth0", hardwareAddress: far, namespace: namespaces[1]), mtu: 1450)

            let host = try #require(try here.link(named: "host0"))
            let peer = try #require(try there.link(named: "eth0"))
            #expect(host.kind == "veth" && host.mtu == 1450 && host.hardwareAddress == near)
            #expect(peer.kind == "veth" && peer.mtu == 1450 && peer.hardwareAddress == far)
            #expect(!host.isUp && !peer.isUp)

            try here.update(link: host.index, LinkChange(isUp: true))
            try there.update(link: peer.index, LinkChange(isUp: true))
            #expect(try here.link(index: host.index)?.operationalState == .up)

            try there.deleteLink(named: "eth0")
            #expect(try here.link(named: "host0") == nil)
            try here.deleteLink(index: host.index)  // Gone already is success.
        }
    }

    @Test("the end here of a pair is found by the other end, whoever else has its number")
    func vethEnd() throws {
        try withNamespaces(3) { namespaces in
            var here = try RouteSocket(in: namespaces[0])
            for (name, namespace) in [("host1", namespaces[1]), ("host2", namespaces[2])] {
                try here.createVeth(
                    VethEnd(name: name), VethEnd(name: "eth0", namespace: namespace))
            }
            var indexes: [UInt32] = []
            for (name, namespace) in [("host1", namespaces[1]), ("host2", namespaces[2])] {
                var inside = try RouteSocket(in: namespace)
                let link = try #require(try inside.link(named: "eth0"))
                indexes.append(link.index)
                #expect(try here.vethEnd(of: link.index, in: namespace)?.name == name)
            }
            // Two links of one number, in two namespaces.
            #expect(Set(indexes).count == 1)
            #expect(try here.vethEnd(of: indexes[0] + 1000, in: namespaces[1]) == nil)
            // A pair that ends elsewhere.
            var other = try RouteSocket(in: namespaces[2])
            try other.createVeth(
                VethEnd(name: "a"), VethEnd(name: "b", namespace: namespaces[1]))
            var inside = try RouteSocket(in: namespaces[1])
            let link = try #require(try inside.link(named: "b"))
            #expect(try here.vethEnd(of: link.index, in: namespaces[1]) == nil)
            #expect(try other.vethEnd(of: link.index, in: namespaces[1])?.name == "a")
        }
    }

    @Test("a VXLAN device in external mode takes two to disagree on a name")
    func vxlan() throws {
        try withNamespaces(1) { namespaces in
            var socket = try RouteSocket(in: namespaces[0])
            let device = VXLANDevice(
                name: "weft0", port: 8472, mtu: 1450, acceptsZeroChecksumIPv6: true)
            try socket.createVXLAN(device)
            let link = try #require(try socket.link(named: "weft0"))
            #expect(link.kind == "vxlan" && link.mtu == 1450)
            try socket.update(link: link.index, LinkChange(isUp: true))
            let error = #expect(throws: NetlinkError.self) { try createAgain(in: namespaces[0]) }
            #expect(error?.code == .exists)
        }
        func createAgain(in namespace: NetworkNamespace) throws {
            var socket = try RouteSocket(in: namespace)
            try socket.createVXLAN(VXLANDevice(name: "weft0", port: 8472))
        }
    }

    @Test("a link is renamed, resized, put into a bridge and moved to another namespace")
    func changes() throws {
        try withNamespaces(2) { namespaces in
            var socket = try RouteSocket(in: namespaces[0])
            try socket.createBridge(name: "br0")
            try socket.createVeth(VethEnd(name: "a"), VethEnd(name: "b"))
            let bridge = try #require(try socket.link(named: "br0"))
            let link = try #require(try socket.link(named: "a"))
            let mac = try #require(HardwareAddress("02:00:00:00:00:0a"))
            try socket.update(
                link: link.index,
                LinkChange(
                    name: "port", mtu: 1400, hardwareAddress: mac, master: bridge.index,
                    withoutIPv6LinkLocal: true))
            let changed = try #require(try socket.link(index: link.index))
            #expect(changed.name == "port" && changed.mtu == 1400)
            #expect(changed.hardwareAddress == mac && changed.master == bridge.index)

            try socket.update(link: link.index, LinkChange(namespace: namespaces[1]))
            #expect(try socket.links().map(\.name).sorted() == ["b", "br0", "lo"])
            var other = try RouteSocket(in: namespaces[1])
            #expect(try other.links().map(\.name).sorted() == ["lo", "port"])
        }
    }

    @Test("without IPv6 link-local addresses a link that goes up has none")
    func noLinkLocal() throws {
        try withNamespaces(1) { namespaces in
            var socket = try RouteSocket(in: namespaces[0])
            try socket.createVeth(VethEnd(name: "a"), VethEnd(name: "b"))
            for name in ["a", "b"] {
                let link = try #require(try socket.link(named: name))
                try socket.update(
                    link: link.index, LinkChange(isUp: true, withoutIPv6LinkLocal: name == "a"))
            }
            // The kernel makes link-local addresses when it notices the carrier, a moment later.
            let deadline = ContinuousClock.now + .seconds(5)
            while try socket.addresses().isEmpty, ContinuousClock.now < deadline { sched_yield() }
            let withAddress = try socket.addresses().compactMap { address in
                try socket.link(index: address.interface)?.name
            }
            #expect(withAddress == ["b"])
        }
    }

    @Test(
        "a name that no link can have is refused before the kernel sees it",
        arguments: ["", "sixteen-letters!", "a/b", "a b", "."])
    func badName(_ name: String) throws {
        let error = #expect(throws: NetlinkError.self) {
            var socket = try RouteSocket()
            try socket.createBridge(name: name)
        }
        #expect(error?.code == .invalid)
    }

    @Test("a refused change says what was refused, and why in the kernel's words")
    func kernelWords() throws {
        try withNamespaces(1) { namespaces in
            let error = #expect(throws: NetlinkError.self) {
                var socket = try RouteSocket(in: namespaces[0])
                try socket.createBridge(name: "br0")
                let bridge = try #require(try socket.link(named: "br0")).index
                try socket.update(link: bridge, LinkChange(master: bridge))
            }
            #expect(error?.operation.hasPrefix("change link ") == true)
            #expect(error?.message == "Can not enslave a bridge to a bridge")
        }
    }
}
