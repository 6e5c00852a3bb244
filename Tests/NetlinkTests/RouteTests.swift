// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Netlink

@Suite(.tags(.kernel)) struct RouteTests {
    @Test("addresses of both families are usable at once, listed, and deleted twice")
    func addresses() throws {
        try withLink { socket, link in
            let made = [
                InterfaceAddress(
                    interface: link, address: try address("10.1.1.2"), prefixLength: 32),
                InterfaceAddress(
                    interface: link, address: try address("fd00::2"), prefixLength: 128),
            ]
            for address in made { try socket.add(address) }
            #expect(Set(try socket.addresses()) == Set(made))
            let error = #expect(throws: NetlinkError.self) { try socket.add(made[0]) }
            #expect(error?.code == .exists)
            for address in made + made { try socket.delete(address) }
            #expect(try socket.addresses() == [])
        }
    }

    @Test(
        "a default route leads to an on-link gateway with an MTU, is replaced and deleted",
        arguments: [
            ("10.1.1.2", "169.254.1.1", NetworkAddress.anyIPv4),
            ("fd00::2", "fe80::1", NetworkAddress.anyIPv6),
        ])
    func defaultRoute(_ own: String, _ gateway: String, _ any: NetworkAddress) throws {
        try withLink { socket, link in
            let own = try address(own)
            try socket.add(
                InterfaceAddress(interface: link, address: own, prefixLength: own.bitWidth))
            var route = Route(
                to: any, prefixLength: 0, interface: link, gateway: try address(gateway),
                isOnLink: true, mtu: 1450)
            try socket.add(route)
            #expect(try socket.routes().contains(route))
            let error = #expect(throws: NetlinkError.self) { try socket.add(route) }
            #expect(error?.code == .exists)
            route.mtu = 1400
            try socket.replace(route)
            #expect(try socket.routes().filter { $0.prefixLength == 0 } == [route])
            try socket.delete(route)
            try socket.delete(route)
            #expect(try socket.routes().filter { $0.prefixLength == 0 } == [])
        }
    }

    @Test("a route without gateway leads to the link itself", arguments: ["10.9.0.0", "fd09::"])
    func linkRoute(_ destination: String) throws {
        try withLink { socket, link in
            let destination = try address(destination)
            let route = Route(
                to: destination, prefixLength: destination.isIPv4 ? 24 : 64, interface: link)
            try socket.replace(route)
            #expect(try socket.routes().contains(route))
        }
    }

    @Test(
        "a permanent neighbour is set, read, overwritten and forgotten",
        arguments: ["169.254.1.1", "fe80::1"])
    func neighbour(_ text: String) throws {
        try withLink { socket, link in
            for mac in ["02:00:00:00:00:01", "02:00:00:00:00:02"] {
                let neighbour = Neighbour(
                    interface: link, address: try address(text),
                    hardwareAddress: try #require(HardwareAddress(mac)))
                try socket.replace(neighbour)
                #expect(try socket.neighbours() == [neighbour])
            }
            for _ in 0..<2 {
                try socket.forgetNeighbour(try address(text), of: link)
                #expect(try socket.neighbours().isEmpty)
            }
        }
    }

    @Test("thousands of routes are listed in one call")
    func manyRoutes() throws {
        try withLink { socket, link in
            for number in 0..<2000 {
                let bytes: [UInt8] = [10, 7, UInt8(number / 250), UInt8(number % 250)]
                try socket.add(
                    Route(
                        to: try #require(NetworkAddress(bytes: bytes)), prefixLength: 32,
                        interface: link))
            }
            #expect(try socket.routes().filter { $0.prefixLength == 32 }.count == 2000)
        }
    }

    /// Runs `body` with a link that is up, in a namespace of its own.
    private func withLink(_ body: (inout RouteSocket, UInt32) throws -> Void) throws {
        try withNamespaces(1) { namespaces in
            var socket = try RouteSocket(in: namespaces[0])
            try socket.createVeth(VethEnd(name: "a"), VethEnd(name: "b"))
            for name in ["b", "a"] {
                let link = try #require(try socket.link(named: name))
                try socket.update(
                    link: link.index, LinkChange(isUp: true, withoutIPv6LinkLocal: true))
            }
            try body(&socket, try #require(try socket.link(named: "a")).index)
        }
    }

    private func address(_ text: String) throws -> NetworkAddress {
        try #require(NetworkAddress(text))
    }
}
