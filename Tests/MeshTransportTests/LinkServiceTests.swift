// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MeshModel
import MeshTrust
import NIOCore
import Synchronization
import Testing

@testable import MeshTransport

@Suite("Links between nodes", .timeLimit(.minutes(1)))
struct LinkServiceTests {
    @Test("two clusters' nodes authenticate each other and exchange frames in order")
    func mutualAuthentication() async throws {
        let mesh = try Mesh(east, west)
        let (a, b) = (try mesh.node(east, "a", incarnation: 7), try mesh.node(west, "b"))
        a.dial(try await b.service.start().port, cluster: west, node: "b")
        let (toB, toA) = (try await a.link(to: "b"), try await b.link(to: "a"))
        #expect(toB.isInitiator && !toA.isInitiator)
        #expect(toB.peer.cluster == west && toB.clusterID == mesh.clusters[west])
        #expect(toA.incarnation == 7)
        for index in 0..<100 { #expect(a.service.send([UInt8(index)], on: toB.id)) }
        for index in 0..<100 { #expect(try await b.frame(on: toA.id, index) == [UInt8(index)]) }
        let large = [UInt8](repeating: 9, count: Frame.payloadMaximum)
        #expect(b.service.send(large, on: toA.id))
        #expect(try await a.frame(on: toB.id) == large)
        #expect(!b.service.send(large + [0], on: toA.id))
        #expect(b.counters[.frameTooLarge] == 1)
        #expect(!b.service.send([], on: LinkID(rawValue: 99)))
    }

    @Test("IPv6 underlays work the same")
    func ipv6() async throws {
        let mesh = try Mesh(east, west)
        let loopback6 = Address("::1")!
        let listen = TransportAddress(address: loopback6, port: 0)
        let a = try mesh.node(east, "a") { $0.listen = listen }
        let b = try mesh.node(west, "b") { $0.listen = listen }
        let port = try await b.service.start().port
        a.service.updateTargets([LinkTarget(address: loopback6, port: port)])
        let link = try await a.link(to: "b")
        #expect(link.remoteAddress == TransportAddress(address: loopback6, port: port))
        #expect(try await b.link(to: "a").remoteAddress.address == loopback6)
    }

    @Test("a cluster whose bundle isn't known here is refused, and both sides can say why")
    func foreignAuthority() async throws {
        let mesh = try Mesh(east, west)
        let onlyEast = TrustStore([mesh.authorities[east]!.bundle])
        let a = try mesh.node(east, "a", security: mesh.security(east, "a", trust: onlyEast))
        let b = try mesh.node(west, "b")
        b.dial(try await a.service.start().port)
        let here = try await a.refusal { $0 == .trust(.foreignTrustDomain("west.weft.test")) }
        #expect("\(here.reason)".contains("add the bundle"))
        let there = try await b.refusal { if case .tls = $0 { true } else { false } }
        #expect("\(there.reason)".contains("its log says why"))
        #expect(a.counters[.trust] > 0 && a.counters.linksOpened == 0)
    }

    @Test("an authority of the same name with another key convinces nobody")
    func impostor() async throws {
        let (mesh, impostors) = (try Mesh(east, west), try Mesh(east, west))
        let a = try mesh.node(east, "a")
        let b = try impostors.node(
            west, "b", security: impostors.security(west, "b", trust: mesh.trust))
        b.dial(try await a.service.start().port)
        let refusal = try await a.refusal {
            if case .trust(.untrusted) = $0 { true } else { false }
        }
        #expect("\(refusal.reason)".contains("update the cluster's bundle"))
    }

    @Test("an expired certificate is refused, with both times in the message")
    func expired() async throws {
        let mesh = try Mesh(east, west)
        let later = Date() + 25 * 3_600
        let a = try mesh.node(east, "a") { $0.wallClock = { later } }
        let b = try mesh.node(west, "b")
        b.dial(try await a.service.start().port)
        let refusal = try await a.refusal { if case .trust(.expired) = $0 { true } else { false } }
        #expect("\(refusal.reason)".contains(later.ISO8601Format()))
    }

    @Test("a dialler whose clock is behind says so")
    func clockBehind() async throws {
        let mesh = try Mesh(east, west)
        let earlier = Date() - 3_600
        let a = try mesh.node(east, "a") { $0.wallClock = { earlier } }
        let b = try mesh.node(west, "b")
        a.dial(try await b.service.start().port)
        let refusal = try await a.refusal {
            if case .trust(.notYetValid) = $0 { true } else { false }
        }
        #expect("\(refusal.reason)".contains("clock here is behind"))
    }

    @Test("whoever answers at a target's address must be the one expected there")
    func unexpectedPeer() async throws {
        let mesh = try Mesh(east, west)
        let (a, b) = (try mesh.node(east, "a"), try mesh.node(west, "b"))
        let port = try await b.service.start().port
        a.dial(port, cluster: east)
        _ = try await a.refusal { $0 == .unexpectedPeer(expected: "east") }
        a.dial(port, cluster: west, node: "c")
        let refusal = try await a.refusal { $0 == .unexpectedPeer(expected: "west/c") }
        #expect(refusal.peer?.node == "b")
        a.dial(try await a.service.start().port)
        _ = try await a.refusal { $0 == .selfConnection }
    }

    @Test(
        "a hello that isn't the certificate's is refused, and the peer is told",
        arguments: [
            (RawPeer.hello(east, 1, "b"), RefusalReason.identityMismatch(hello: "east/b")),
            (RawPeer.hello(west, 2, "c"), .identityMismatch(hello: "west/c")),
            (
                RawPeer.hello(west, 3, "b"),
                .wrongClusterID(
                    claimed: ClusterID(rawValue: 3)!, configured: ClusterID(rawValue: 2)!)
            ),
        ])
    func lyingHello(hello: Hello, expected: RefusalReason) async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a")
        let peer = try await RawPeer(
            security: mesh.security(west, "b"), port: a.service.start().port)
        try await peer.write(.hello, hello.encoded)
        #expect(try await a.refusal { $0 == expected }.peer?.node == "b")
        #expect(a.counters[.identityMismatch] == 1)
        try await peer.channel.closeFuture.get()
    }

    @Test("a cluster that isn't configured is refused although its bundle is known")
    func unknownCluster() async throws {
        let mesh = try Mesh(east, west)
        let own = [east: mesh.clusters[east]!]
        let a = try mesh.node(east, "a", security: mesh.security(east, "a", clusters: own))
        let b = try mesh.node(west, "b")
        b.dial(try await a.service.start().port)
        _ = try await a.refusal { $0 == .unknownCluster(west) }
        let told = try await b.refusal { if case .refusedByPeer = $0 { true } else { false } }
        #expect("\(told.reason)".contains("cluster west isn't configured"))
    }

    @Test("another protocol version is refused by number")
    func version() async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a")
        let peer = try await RawPeer(
            security: mesh.security(west, "b"), port: a.service.start().port)
        var hello = RawPeer.hello(west, 2, "b").encoded
        hello[0] = 9
        try await peer.write(.hello, hello)
        _ = try await a.refusal { $0 == .unsupportedVersion(9) }
        #expect(a.counters[.unsupportedVersion] == 1)
    }

    @Test("who never introduces itself is shown out")
    func silentStranger() async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a") { $0.timing.handshake = .milliseconds(100) }
        let peer = try await RawPeer(
            security: mesh.security(west, "b"), port: a.service.start().port)
        _ = try await a.refusal { $0 == .handshakeTimeout }
        try await peer.channel.closeFuture.get()
        #expect(a.service.state.withLock { $0.handshakes } == 0)
    }

    @Test("before the introduction only a small frame is read")
    func oversizedIntroduction() async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a")
        let peer = try await RawPeer(
            security: mesh.security(west, "b"), port: a.service.start().port)
        try await peer.write([0, 0, 0x10, 1])
        _ = try await a.refusal { $0 == .oversizedFrame(bytes: 4_097) }
        #expect(a.counters[.oversizedFrame] == 1)
    }

    @Test(
        "what breaks the framing on an open link ends it with a counted reason",
        arguments: [
            ([0x00, 0x10, 0x00, 0x01], TransportRejection.oversizedFrame, .protocolViolation),
            ([0xff, 0xff, 0xff, 0xff], .oversizedFrame, .protocolViolation),
            ([0, 0, 0, 0], .malformedFrame, .protocolViolation),
            ([0, 0, 0, 1, 77], .malformedFrame, .protocolViolation),
            ([0, 0, 0, 1, 1], .unexpectedFrame, .protocolViolation),
        ] as [([UInt8], TransportRejection, LinkDownReason)])
    func brokenFrames(
        bytes: [UInt8], rejection: TransportRejection, reason: LinkDownReason
    ) async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a")
        let peer = try await RawPeer(
            security: mesh.security(west, "b"), port: a.service.start().port)
        try await peer.write(.hello, RawPeer.hello(west, 2, "b").encoded)
        let link = try await a.link(to: "b")
        try await peer.write(bytes)
        #expect(try await a.down(link.id) == reason)
        #expect(a.counters[rejection] == 1)
    }

    @Test("a stream that ends within a frame is counted as truncated, and its part never delivered")
    func truncatedFrame() async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a")
        let peer = try await RawPeer(
            security: mesh.security(west, "b"), port: a.service.start().port)
        try await peer.write(.hello, RawPeer.hello(west, 2, "b").encoded)
        let link = try await a.link(to: "b")
        try await peer.write([0, 0, 0, 100, 4, 1, 2, 3])
        try await peer.channel.close()
        #expect(try await a.down(link.id) == .closedByPeer)
        #expect(a.counters[.truncatedFrame] == 1)
        #expect(a.counters.framesReceived == 0)
    }

    @Test("a peer that falls silent is dead after the timeout, one that only says nothing is not")
    func silence() async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a") {
            $0.timing.keepalive = .milliseconds(20)
            $0.timing.deadAfter = .seconds(1)
        }
        let b = try mesh.node(east, "b") { $0.timing.keepalive = .milliseconds(20) }
        let port = try await a.service.start().port
        b.dial(port)
        let quiet = try await a.link(to: "b")
        let peer = try await RawPeer(security: mesh.security(west, "c"), port: port)
        try await peer.write(.hello, RawPeer.hello(west, 2, "c").encoded)
        let dead = try await a.link(to: "c")
        #expect(try await a.down(dead.id) == .silent)
        #expect(a.counters[.silentPeer] == 1)
        #expect(a.service.send([1], on: quiet.id))
    }

    @Test("a peer that doesn't read costs a bounded amount of memory, then its link")
    func slowReader() async throws {
        let mesh = try Mesh(east, west)
        let bound = 4 * 1024 * 1024
        let a = try mesh.node(east, "a") { $0.outboundBytesMaximum = bound }
        let peer = try await RawPeer(
            security: mesh.security(west, "b"), port: a.service.start().port)
        try await peer.write(.hello, RawPeer.hello(west, 2, "b").encoded)
        let link = try await a.link(to: "b")
        try await peer.channel.setOption(.autoRead, value: false).get()
        let frame = [UInt8](repeating: 0, count: 512 * 1024)
        var sent = 0
        while a.service.send(frame, on: link.id) {
            sent += frame.count
            try #require(sent < 100 * bound)
        }
        #expect(try await a.down(link.id) == .slowPeer)
        #expect(a.counters[.slowPeer] == 1)
        #expect(!a.service.send([1], on: link.id))
    }

    @Test("frames that nobody takes stop the reading of their link, and none is lost")
    func backpressure() async throws {
        let mesh = try Mesh(east, west)
        var configuration = LinkConfiguration(
            listen: TransportAddress(address: loopback, port: 0), clusterID: mesh.clusters[west]!,
            incarnation: 1, security: try mesh.security(west, "b"))
        configuration.inboundBytesMaximum = 64 * 1024
        let b = try LinkService(
            configuration: configuration, statistics: TransportStatistics(),
            logger: .init(label: "test"))
        let running = Task { try await b.run() }
        defer { running.cancel() }
        let a = try mesh.node(east, "a")
        a.dial(try await b.start().port)
        let link = try await a.link(to: "b")
        let count = 200
        for index in 0..<count {
            let isQueued = a.service.send(
                [UInt8](repeating: UInt8(index), count: 32 * 1024), on: link.id)
            try #require(isQueued)
        }
        // Far more than fits is on its way; the other side has taken in only a part.
        try await eventually("nothing arrived") { b.statistics.snapshot.framesReceived > 0 }
        #expect(b.statistics.snapshot.framesReceived < 100)
        var taken: [UInt8] = []
        for await event in b.events {
            if case .frame(_, let bytes) = event { taken.append(bytes[0]) }
            if taken.count == count { break }
        }
        #expect(taken == (0..<count).map { UInt8($0) })
    }

    @Test("a listener that restarts is found again by its dialler, as a new incarnation")
    func reconnection() async throws {
        let mesh = try Mesh(east, west)
        let (a, first) = (try mesh.node(east, "a"), try mesh.node(west, "b"))
        let port = try await first.service.start().port
        a.dial(port, cluster: west, node: "b")
        let old = try await a.link(to: "b")
        await first.stop()
        #expect(try await a.down(old.id) == .closedByPeer)
        _ = try await a.refusal { if case .cannotConnect = $0 { true } else { false } }
        let second = try mesh.node(west, "b", incarnation: 2) {
            $0.listen = .init(address: loopback, port: port)
        }
        let new = try await a.link(to: "b", after: old.id)
        #expect(new.incarnation == 2)
        #expect(new.heartbeatKeys.sendKeyID != old.heartbeatKeys.sendKeyID)
        _ = try await second.link(to: "a")
    }

    @Test("when both dial at once, both keep the same single link")
    func simultaneousDials() async throws {
        let mesh = try Mesh(east, west)
        for _ in 0..<5 {
            let (a, b) = (try mesh.node(east, "a"), try mesh.node(west, "b"))
            let (portA, portB) = (
                try await a.service.start().port, try await b.service.start().port
            )
            a.dial(portB, cluster: west, node: "b")
            b.dial(portA, cluster: east, node: "a")
            _ = (try await a.link(to: "b"), try await b.link(to: "a"))
            // One link on each side, and what goes into one comes out of the other.
            try await eventually("the two sides never agreed") {
                guard let x = a.open.first, let y = b.open.first, a.open.count == 1,
                    b.open.count == 1, x.isInitiator != y.isInitiator
                else { return false }
                a.service.send([5], on: x.id)
                return b.log.all.contains {
                    if case .frame(y.id, [5]) = $0 { true } else { false }
                }
            }
            #expect(a.counters.linksOpened <= 2 && b.counters.linksOpened <= 2)
            await a.stop()
            await b.stop()
        }
    }

    @Test("a bundle taken away ends that cluster's links and no other, without a restart")
    func trustWithdrawn() async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a")
        let (b, c) = (try mesh.node(east, "b"), try mesh.node(west, "c"))
        let port = try await a.service.start().port
        b.dial(port)
        c.dial(port)
        let (own, foreign) = (try await a.link(to: "b"), try await a.link(to: "c"))
        let onlyEast = TrustStore([mesh.authorities[east]!.bundle])
        try a.service.reload(mesh.security(east, "a", trust: onlyEast))
        #expect(try await a.down(foreign.id) == .trustWithdrawn)
        _ = try await a.refusal { $0 == .trust(.foreignTrustDomain("west.weft.test")) }
        #expect(a.service.send([1], on: own.id))
        try a.service.reload(mesh.security(east, "a"))
        _ = try await a.link(to: "c", after: foreign.id)
    }

    @Test("an open link outlives its certificate, a renewed one is used for the next")
    func renewal() async throws {
        let mesh = try Mesh(east, west)
        let (a, b) = (try mesh.node(east, "a"), try mesh.node(west, "b"))
        b.dial(try await a.service.start().port)
        let link = try await a.link(to: "b")
        try a.service.reload(mesh.security(east, "a"))
        try b.service.reload(mesh.security(west, "b"))
        #expect(a.service.send([1], on: link.id))
        #expect(try await b.frame(on: b.link(to: "a").id) == [1])
        a.service.close(link.id)
        #expect(try await a.down(link.id) == .closedLocally)
        _ = try await a.link(to: "b", after: link.id)
    }

    @Test("strangers beyond the bound are turned away at once")
    func handshakeBound() async throws {
        let mesh = try Mesh(east, west)
        let a = try mesh.node(east, "a") { $0.handshakesMaximum = 1 }
        let port = try await a.service.start().port
        let security = try mesh.security(west, "b")
        let first = try await RawPeer(security: security, port: port)
        try await eventually("not counted") { a.service.state.withLock { $0.handshakes } == 1 }
        let second = try await RawPeer(security: security, port: port)
        _ = try await a.refusal { $0 == .tooManyHandshakes }
        try await second.channel.closeFuture.get()
        try await first.write(.hello, RawPeer.hello(west, 2, "b").encoded)
        _ = try await a.link(to: "b")
    }
}

extension TestNode {
    /// Links that are up as far as this side has reported.
    var open: [Link] {
        var open: [LinkID: Link] = [:]
        for event in log.all {
            switch event {
            case .up(let link): open[link.id] = link
            case .down(let id, _): open[id] = nil
            default: break
            }
        }
        return Array(open.values)
    }
}
