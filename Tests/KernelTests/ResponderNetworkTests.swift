// SPDX-License-Identifier: Apache-2.0

import Glibc
import KernelTestSupport
import MeshModel
import Netlink
import Testing

@testable import BPF

/// Two namespaces and a cable: what test runs can't show, such as checksums that a device has yet
/// to fill in.
@Suite("A node that is probed over a cable", .tags(.kernel))
struct ResponderNetworkTests {
    struct Cable: Sendable, CustomTestStringConvertible {
        let family: Family
        /// Whether each end leaves checksums to its device.
        let isOffloading: (prober: Bool, node: Bool)

        var testDescription: String { "\(family), \(isOffloading)" }

        static let all = Family.allCases.flatMap { family in
            [(true, true), (true, false), (false, true), (false, false)].map {
                Cable(family: family, isOffloading: $0)
            }
        }
    }

    @Test("answers although nobody listens, and is otherwise as before", arguments: Cable.all)
    func answers(cable: Cable) throws {
        let family = cable.family
        let prober = try inOwnNamespace { try NetworkNamespace.current() }
        try inOwnNamespace {
            let index = try Self.lay(cable, to: prober)
            let responder = try Responder(family, renewed: .seconds(2))
            let program = try responder.world.object.program(named: "weft_from_underlay")
            let attachment = try program.attach(toInterface: index, .ingress)
            let server = try Socket.server(.datagram, at: family.probed.address)
            let service = try server.name()
            try prober.run {
                try Self.expectAnswer(from: family)
                // The same to who does listen.
                let socket = try Socket(.datagram, ipv6: family == .ipv6)
                try socket.send(Responder.payload(), to: service)
            }
            #expect(try server.receive().bytes == Responder.payload())
            #expect(try responder.answers == 1)
            // An agent that is gone for longer than its lease: the stack says so.
            responder.renew(.seconds(11))
            try prober.run { try Self.expectRefusal(from: family) }
            responder.renew(.seconds(2))
            try attachment.detach()
            try prober.run { try Self.expectRefusal(from: family) }
            // Before Linux 6.6.
            try ClassifierFilter(interface: index, direction: .ingress).attach(program)
            try prober.run { try Self.expectAnswer(from: family) }
            #expect(try responder.answers == 2)
        }
    }

    private static func expectAnswer(from family: Family) throws {
        let socket = try Socket(.datagram, ipv6: family == .ipv6)
        try socket.send(Responder.payload(), to: family.probed)
        let answer = try socket.receive()
        #expect(answer.from == family.probed)
        let age = answer.bytes[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        #expect((2_000..<10_000).contains(age))
        #expect(
            answer.bytes == Responder.payload(kind: 4, age: age, instance: Responder.instance))
    }

    private static func expectRefusal(from family: Family) throws {
        let socket = try Socket(.datagram, ipv6: family == .ipv6)
        try socket.connect(to: family.probed)
        try socket.send(Responder.payload())
        let refusal = #expect(throws: SystemFailure.self) { try socket.receive() }
        #expect(refusal?.number == ECONNREFUSED)
    }

    /// Connects this thread's namespace, the probed node's, with the prober's.
    ///
    /// - Returns: index of this end.
    private static func lay(_ cable: Cable, to prober: NetworkNamespace) throws -> UInt32 {
        var here = try RouteSocket()
        var there = try RouteSocket(in: prober)
        try here.createVeth(
            VethEnd(name: "underlay"), VethEnd(name: "underlay", namespace: prober))
        let index = try bring(up: cable.family.probed.address, &here)
        _ = try bring(up: cable.family.prober.address, &there)
        if !cable.isOffloading.node { try stopOffloading() }
        if !cable.isOffloading.prober { try prober.run { try stopOffloading() } }
        return index
    }

    private static func bring(up address: Address, _ routes: inout RouteSocket) throws -> UInt32 {
        let found = try routes.link(named: "underlay")
        let link = try #require(found)
        try routes.add(
            InterfaceAddress(
                interface: link.index, address: NetworkAddress(bytes: wire(address))!,
                prefixLength: address.isIPv4 ? 24 : 64))
        try routes.update(link: link.index, LinkChange(isUp: true))
        return link.index
    }

    /// As `ethtool -K underlay tx off`.
    private static func stopOffloading() throws {
        let setTransmitChecksum: UInt32 = 0x17  // ETHTOOL_STXCSUM
        let ethtool: UInt = 0x8946  // SIOCETHTOOL
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var value = [setTransmitChecksum, 0]
        let result = value.withUnsafeMutableBytes { value in
            var request =
                Array("underlay".utf8) + [UInt8](repeating: 0, count: 8)
                + withUnsafeBytes(of: UInt(bitPattern: value.baseAddress)) { Array($0) }
                + [UInt8](repeating: 0, count: 16)
            return ioctl(descriptor, ethtool, &request)
        }
        guard result == 0 else { throw SystemFailure(errno) }
    }
}
