// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import KernelTestSupport
import MeshModel
import Testing

@Suite("A socket of a workload", .tags(.kernel))
struct SocketHookTests {
    private static let hooks = ["connect", "sendmsg", "recvmsg", "getpeername"]
        .flatMap { ["weft_\($0)4", "weft_\($0)6"] }

    private static let loopback = [
        Family.ipv4: Address("127.0.0.1")!, Family.ipv6: Address("::1")!,
    ]

    /// Runs `body` in a namespace and a cgroup of its own that the hooks are attached to.
    private static func withHooks(
        _ name: String, _ body: @escaping @Sendable (World) throws -> Void
    ) throws {
        try inOwnNamespace {
            try raiseLoopback()
            let world = try World(hooks)
            let group = try ThreadCgroup(name: name)
            let cgroup = try Cgroup(path: group.path)
            var links: [HookLink] = []
            for hook in hooks {
                links.append(HookLink(try world.object.program(named: hook).attach(to: cgroup)))
            }
            try withExtendedLifetime((links, group)) { try body(world) }
        }
    }

    /// An array can't hold a link itself.
    private final class HookLink {
        let link: Link
        init(_ link: consuming Link) { self.link = link }
    }

    private static func serve(
        _ world: World, _ frontend: Peer, _ kind: Socket.Kind, slot: Int = 1, _ backends: [Peer],
        nodes: [Int] = []
    ) throws {
        try world.addService(
            frontend, protocol: kind.protocolNumber, slot: slot,
            backends.isEmpty
                ? [] : [World.Slice(cluster: 2, backends: backends, nodes: nodes)])
    }

    @Test("connects to a backend, and sees the service", arguments: Family.allCases)
    func stream(family: Family) throws {
        try Self.withHooks("stream-\(family)") { world in
            let frontend = Peer(family.service, 80)
            let server = try Socket.server(.stream, at: Self.loopback[family]!)
            try Self.serve(world, frontend, .stream, [server.name()])
            let client = try Socket(.stream, ipv6: family == .ipv6)
            try client.connect(to: frontend)
            #expect(try client.peerName() == frontend)
            #expect(try server.accept())
            #expect(try world.count(WEFT_COUNTER_SOCKETS_TRANSLATED) == 1)
        }
    }

    @Test("of IPv6 reaches an IPv4 service by its mapped address")
    func mapped() throws {
        try Self.withHooks("mapped") { world in
            let frontend = Peer(Family.ipv4.service, 80)
            let server = try Socket.server(.stream, at: Self.loopback[.ipv4]!)
            try Self.serve(world, frontend, .stream, [server.name()])
            let client = try Socket(.stream, ipv6: true)
            try client.connect(to: frontend)
            #expect(try client.peerName() == frontend)
            #expect(try server.accept())

            let other = try Socket.server(.datagram, at: Self.loopback[.ipv4]!)
            try Self.serve(world, frontend, .datagram, slot: 2, [other.name()])
            let sender = try Socket(.datagram, ipv6: true)
            try sender.send([1], to: frontend)
            try other.send([2], to: other.receive().from)
            #expect(try sender.receive().from == frontend)
        }
    }

    @Test("is refused at once by a service without backends", arguments: Family.allCases)
    func refusal(family: Family) throws {
        try Self.withHooks("refusal-\(family)") { world in
            let frontend = Peer(family.service, 80)
            try Self.serve(world, frontend, .stream, slot: 1, [])
            try Self.serve(world, frontend, .datagram, slot: 2, [])
            let stream = try Socket(.stream, ipv6: family == .ipv6)
            let refused = #expect(throws: SystemFailure.self) { try stream.connect(to: frontend) }
            #expect(refused?.number == ECONNREFUSED)
            let datagram = try Socket(.datagram, ipv6: family == .ipv6)
            let unsent = #expect(throws: SystemFailure.self) {
                try datagram.send([1], to: frontend)
            }
            #expect(unsent?.number == ECONNREFUSED)
            #expect(try world.count(WEFT_DROP_NO_BACKEND) == 2)
            let event = try #require(try world.takeEvents().first)
            #expect(Address(event.frontend) == family.service)
        }
    }

    @Test(
        "sends datagrams to a backend, and gets answers from the service",
        arguments: Family.allCases)
    func unconnected(family: Family) throws {
        try Self.withHooks("unconnected-\(family)") { world in
            let frontend = Peer(family.service, 53)
            let server = try Socket.server(.datagram, at: Self.loopback[family]!)
            let stranger = try Socket.server(.datagram, at: Self.loopback[family]!)
            try Self.serve(world, frontend, .datagram, [server.name()])
            let client = try Socket(.datagram, ipv6: family == .ipv6)
            try client.send([1], to: frontend)
            let question = try server.receive()
            try server.send([2], to: question.from)
            #expect(try client.receive().from == frontend)
            // Not every sender is the service.
            try stranger.send([3], to: question.from)
            #expect(try client.receive().from == stranger.name())
            // Nor is the backend, once it is addressed itself.
            try client.send([4], to: server.name())
            try server.send([5], to: question.from)
            #expect(try client.receive().from == server.name())
        }
    }

    @Test(
        "connected for datagrams sees the service until it connects elsewhere",
        arguments: Family.allCases)
    func connected(family: Family) throws {
        try Self.withHooks("connected-\(family)") { world in
            let frontend = Peer(family.service, 53)
            let server = try Socket.server(.datagram, at: Self.loopback[family]!)
            try Self.serve(world, frontend, .datagram, [server.name()])
            let client = try Socket(.datagram, ipv6: family == .ipv6)
            try client.connect(to: frontend)
            #expect(try client.peerName() == frontend)
            try client.send([1])
            try server.send([2], to: server.receive().from)
            #expect(try client.receive().from == frontend)
            try client.connect(to: server.name())
            #expect(try client.peerName() == server.name())
            try client.send([3])
            try server.send([4], to: server.receive().from)
            #expect(try client.receive().from == server.name())
        }
    }

    @Test("keeps its backend for datagrams while that lives, and gets another one then")
    func reselection() throws {
        try Self.withHooks("reselection") { world in
            let frontend = Peer(Family.ipv4.service, 53)
            let first = try Socket.server(.datagram, at: Self.loopback[.ipv4]!)
            let second = try Socket.server(.datagram, at: Self.loopback[.ipv4]!)
            world.setNode(21, .up)
            try Self.serve(
                world, frontend, .datagram, [first.name(), second.name()], nodes: [20, 21])
            let client = try Socket(.datagram, ipv6: false)
            for _ in 0..<16 { try client.send([1], to: frontend) }
            // Kill whichever it was, and then the other one instead.
            for dead in [20, 21] {
                world.setNode(20, dead == 20 ? .unreachable : .up, generation: 2)
                world.setNode(21, dead == 21 ? .unreachable : .up, generation: 2)
                try client.send([2], to: frontend)
            }
            let counts = try [Self.drain(first, last: [2]), Self.drain(second, last: [2])]
            #expect(counts.contains([[2]]), "one got nothing before")
            #expect(counts.contains([[UInt8]](repeating: [1], count: 16) + [[2]]))
        }
    }

    /// Everything that a socket received, up to `last`.
    private static func drain(_ socket: borrowing Socket, last: [UInt8]) throws -> [[UInt8]] {
        var received: [[UInt8]] = []
        repeat { received.append(try socket.receive().bytes) } while received.last != last
        return received
    }
}

/// Brings this thread's namespace's loopback device up.
private func raiseLoopback() throws {
    let control = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    guard control >= 0 else { throw SystemFailure(errno) }
    defer { close(control) }
    // struct ifreq: a name of 16 bytes, then flags: IFF_UP.
    var request = [UInt8]("lo".utf8) + [UInt8](repeating: 0, count: 38)
    request[16] = 1
    guard ioctl(control, UInt(SIOCSIFFLAGS), &request) == 0 else { throw SystemFailure(errno) }
}
