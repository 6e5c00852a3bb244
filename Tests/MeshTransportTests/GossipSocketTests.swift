// SPDX-License-Identifier: Apache-2.0

import MeshModel
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MeshTransport

/// Sockets of some nodes on the loopback, running until the test lets go of them.
private final class Sockets: Sendable {
    let nodes: [NodeID]
    let sockets: [DatagramSocket]
    let statistics: [TransportStatistics]
    let logs: [EventLog<GossipArrival>]
    let addresses: [TransportAddress]
    private let running: [Task<Void, any Error>]

    init(_ names: String...) async throws {
        nodes = names.map { node($0) }
        statistics = names.map { _ in TransportStatistics() }
        sockets = zip(nodes, statistics).map { node, statistics in
            DatagramSocket(
                own: node, addresses: [TransportAddress(address: loopback, port: 0)],
                statistics: statistics)
        }
        logs = sockets.map { EventLog($0.gossip) }
        var addresses: [TransportAddress] = []
        for socket in sockets { addresses.append(try await socket.start()[0]) }
        self.addresses = addresses
        running = sockets.map { socket in Task { try await socket.run() } }
        for socket in sockets { socket.install(roster: roster) }
    }

    deinit { for task in running { task.cancel() } }

    var roster: [NodeID: [GossipKey]] {
        Dictionary(uniqueKeysWithValues: zip(nodes, sockets.map(\.gossipKeys)))
    }

    func send(_ plaintext: [UInt8], from sender: Int, to receiver: Int) -> Bool {
        sockets[sender].send(gossip: plaintext, to: nodes[receiver], at: addresses[receiver])
    }

    func count(_ reason: TransportRejection, at index: Int) -> UInt64 {
        statistics[index].snapshot[reason]
    }
}

/// A socket that sends what a test wants.
private func rawSocket() async throws -> any Channel {
    try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .bind(to: SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
}

@Suite("Gossip over sockets", .timeLimit(.minutes(1)))
struct GossipSocketTests {
    @Test("three nodes gossip on one port with heartbeats, each knowing who spoke")
    func threeNodes() async throws {
        let mesh = try await Sockets("a", "b", "c")
        let (left, right) = try keyPair()
        mesh.sockets[0].install(left, for: nodeB)
        mesh.sockets[1].install(right, for: nodeA)
        let heartbeats = EventLog(mesh.sockets[1].heartbeats)

        let before = Instant.monotonicNow
        for sender in 0..<3 {
            for receiver in 0..<3 where receiver != sender {
                #expect(mesh.send([UInt8(sender), UInt8(receiver)], from: sender, to: receiver))
            }
        }
        #expect(mesh.sockets[0].send([5], to: nodeB, at: mesh.addresses[1]))
        for receiver in 0..<3 {
            let arrivals = try await mesh.logs[receiver].wait("gossip lost") {
                $0.count == 2 ? $0 : nil
            }
            for arrival in arrivals {
                let sender = Int(arrival.plaintext[0])
                #expect(arrival.peer == mesh.nodes[sender])
                #expect(arrival.source == mesh.addresses[sender])
                #expect(arrival.plaintext[1] == UInt8(receiver))
                #expect(arrival.arrival > before && arrival.arrival < .monotonicNow)
            }
        }
        let beat = try await heartbeats.wait("heartbeat lost") { $0.first }
        #expect(beat.peer == nodeA && beat.plaintext == [5])
        try await eventually("not counted") {
            let counters = mesh.statistics[1].snapshot
            return counters.gossipSent == 2 && counters.gossipReceived == 2
                && counters.heartbeatsReceived == 1
        }
        #expect(mesh.statistics[1].snapshot.gossipBytesReceived == 2 * (17 + 2 + 16))
    }

    @Test("what can't be sent says so and is counted")
    func unsent() async throws {
        let mesh = try await Sockets("a", "b")
        let unknown = node("unknown")
        #expect(!mesh.sockets[0].send(gossip: [1], to: unknown, at: mesh.addresses[1]))
        #expect(mesh.count(.gossipNoKey, at: 0) == 1)
        let long = [UInt8](repeating: 0, count: DatagramSocket.plaintextMaximum + 1)
        #expect(!mesh.send(long, from: 0, to: 1))
        #expect(mesh.count(.gossipTooLarge, at: 0) == 1)
        let idle = DatagramSocket(
            own: node("c"), addresses: [mesh.addresses[0]], statistics: TransportStatistics())
        idle.install(roster: mesh.roster)
        #expect(!idle.send(gossip: [1], to: mesh.nodes[0], at: mesh.addresses[0]))
        #expect(idle.statistics.snapshot[.gossipUnsent] == 1)
    }

    @Test("captured datagrams are dropped: in the same session and after a restart of either end")
    func capture() async throws {
        let mesh = try await Sockets("a", "b")
        let attacker = try await rawSocket()
        let target = try mesh.addresses[1].socketAddress()
        func inject(_ datagram: [UInt8]) async throws {
            try await attacker.writeAndFlush(
                AddressedEnvelope(
                    remoteAddress: target, data: attacker.allocator.buffer(bytes: datagram)))
        }
        // Whoever listens on the wire has what the sender sealed.
        let captured = try mesh.sockets[0].gossipSessions.withLock {
            sessions throws(TransportRejection) in try sessions.seal([1], for: mesh.nodes[1])
        }
        try await inject(captured)
        _ = try await mesh.logs[1].wait("gossip lost") { $0.first }
        try await inject(captured)
        try await eventually("replayed") { mesh.count(.gossipReplayed, at: 1) == 1 }

        // A new process of a, and then one of b.
        let again = DatagramSocket(
            own: mesh.nodes[0], addresses: [], statistics: TransportStatistics())
        let fresh = [mesh.nodes[0]: again.gossipKeys, mesh.nodes[1]: mesh.sockets[1].gossipKeys]
        mesh.sockets[1].install(roster: fresh)
        try await inject(captured)
        try await eventually("replayed") { mesh.count(.gossipReplayed, at: 1) == 2 }

        let statistics = TransportStatistics()
        let reborn = DatagramSocket(
            own: mesh.nodes[1], addresses: [], statistics: statistics)
        reborn.install(roster: mesh.roster)
        reborn.receive(captured, from: mesh.addresses[0], at: .monotonicNow)
        #expect(statistics.snapshot[.gossipUnknownKey] == 1)
        #expect(mesh.logs[1].all.count == 1)
        try await attacker.close()
    }

    @Test(
        "a flood of garbage is counted by reason and costs no entry; those who were heard are heard on"
    )
    func flood() async throws {
        let mesh = try await Sockets("a", "b")
        let target = mesh.sockets[1]
        #expect(mesh.send([1], from: 0, to: 1))
        _ = try await mesh.logs[1].wait("gossip lost") { $0.first }

        let header = try mesh.sockets[0].gossipSessions.withLock {
            sessions throws(TransportRejection) in
            Array(try sessions.seal([1], for: mesh.nodes[1]).prefix(9))
        }
        // Ahead, so that no budget recovers until the end of the test.
        let now = Instant.monotonicNow + .seconds(3_600)
        let forgery = header + [UInt8](repeating: 0x55, count: 8 + 40)
        let garbage: [(TransportRejection, [UInt8])] = [
            (.datagramVersion, []), (.datagramVersion, [0, 1, 2]), (.gossipMalformed, [2, 1]),
            (.datagramOversized, [2] + [UInt8](repeating: 1, count: 2_000)),
            (.gossipUnknownKey, [2] + [UInt8](repeating: 1, count: 60)),
            (.heartbeatUnknownKey, [1] + [UInt8](repeating: 1, count: 60)),
        ]
        for index in 0..<30_000 {
            let stranger = TransportAddress(
                address: Address(ipv4: 0x0a00_0000 + UInt32(index)), port: UInt16(index & 0xfff))
            target.receive(garbage[index % garbage.count].1, from: stranger, at: now)
            target.receive(forgery, from: stranger, at: now)
        }
        let counters = mesh.statistics[1].snapshot
        let looked = UInt64(ForgeryLimiter.strangersMaximum) * 257
        #expect(counters[.gossipForged] > 0 && counters[.gossipForged] <= looked)
        #expect(counters[.datagramRateLimited] >= 30_000 - looked)
        for (reason, _) in garbage { #expect(counters[reason] > 0) }
        #expect(counters.gossipReceived == 1)
        // The same address, but another process: its forgeries aren't a's.
        let neighbour = TransportAddress(address: mesh.addresses[0].address, port: 1)
        for _ in 0..<1_000 { target.receive(forgery, from: neighbour, at: now) }
        #expect(mesh.send([2], from: 0, to: 1))
        let arrivals = try await mesh.logs[1].wait("starved") { $0.count == 2 ? $0 : nil }
        #expect(arrivals[1].plaintext == [2])
    }

    @Test("a reader that is behind loses the oldest, and the loss is counted")
    func slowReader() throws {
        let statistics = (TransportStatistics(), TransportStatistics())
        let sender = DatagramSocket(own: node("a"), addresses: [], statistics: statistics.0)
        let receiver = DatagramSocket(own: node("b"), addresses: [], statistics: statistics.1)
        let roster = [node("a"): sender.gossipKeys, node("b"): receiver.gossipKeys]
        for socket in [sender, receiver] { socket.install(roster: roster) }
        let source = TransportAddress(address: loopback, port: 1)
        for _ in 0..<DatagramSocket.arrivalsMaximum + 10 {
            let datagram = try sender.gossipSessions.withLock {
                sessions throws(TransportRejection) in try sessions.seal([1], for: node("b"))
            }
            receiver.receive(datagram, from: source, at: .monotonicNow)
        }
        #expect(statistics.1.snapshot[.gossipLost] == 10)
    }

    @Test("a new key is told to whoever announces it")
    func announcement() async throws {
        let socket = DatagramSocket(
            own: node("a"), addresses: [], statistics: TransportStatistics())
        let first = socket.gossipKeys
        socket.rotateGossipKeys(at: .monotonicNow)
        #expect(socket.gossipKeys == first)
        socket.rotateGossipKeys(at: .monotonicNow + GossipSessions.keyLifetime)
        var changes = socket.gossipKeyChanges.makeAsyncIterator()
        let told = await changes.next()
        #expect(told?.count == 2 && told?.first == first[0] && told == socket.gossipKeys)
    }
}

@Suite("Forgery limiter")
struct ForgeryLimiterTests {
    let source = TransportAddress(address: loopback, port: 1)
    let other = TransportAddress(address: Address(ipv4: 0x0a00_0001), port: 1)

    @Test("a source may err 256 times at once and as often each second")
    func budget() {
        var limiter = ForgeryLimiter()
        var now = Instant(nanoseconds: 5_000_000_000)
        limiter.prove(source)
        func spend() -> Int {
            var count = 0
            while limiter.admits(source, at: now), count < 10_000 {
                limiter.punish(source, at: now)
                count += 1
            }
            return count
        }
        #expect((256...257).contains(spend()))
        #expect(limiter.admits(other, at: now))
        now = now + .milliseconds(500)
        #expect((127...129).contains(spend()))
        now = now + .seconds(3_600)
        #expect((256...257).contains(spend()))
    }

    @Test("strangers' addresses spread over their budgets")
    func spread() {
        var limiter = ForgeryLimiter()
        let now = Instant(nanoseconds: 5_000_000_000)
        for _ in 0..<300 { limiter.punish(other, at: now) }
        #expect(!limiter.admits(other, at: now))
        let strangers = (0..<1_000).map {
            TransportAddress(address: Address(ipv4: 0x0a01_0000 + UInt32($0)), port: 7_000)
        }
        #expect(strangers.filter { limiter.admits($0, at: now) }.count > 900)
    }

    @Test("more proven sources than fit begin anew")
    func bound() {
        var limiter = ForgeryLimiter()
        let now = Instant(nanoseconds: 5_000_000_000)
        limiter.prove(source)
        for _ in 0..<300 { limiter.punish(source, at: now) }
        #expect(!limiter.admits(source, at: now))
        for index in 0..<ForgeryLimiter.provenMaximum {
            limiter.prove(TransportAddress(address: Address(ipv4: UInt32(index)), port: 9))
        }
        #expect(limiter.admits(source, at: now))
    }
}

@Suite("Addresses of datagrams")
struct DatagramAddressTests {
    @Test(
        "an address is the same after a way through the kernel's form",
        arguments: ["10.1.2.3", "255.255.255.255", "2001:db8::1:fffe", "::1", "::ffff:10.1.2.3"])
    func roundTrip(text: String) throws {
        let address = TransportAddress(address: try #require(Address(text)), port: 65_281)
        #expect(TransportAddress(try address.socketAddress()) == address)
        #expect(TransportAddress(try SocketAddress(ipAddress: text, port: 65_281)) == address)
    }
}
