// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import MeshTrust
import Synchronization
import Testing

@testable import MeshTransport

/// Denies nodes by their names, as a deny list would.
private final class Denied: Sendable {
    private let names = Mutex<Set<String>>([])

    func deny(_ name: String) { names.withLock { _ = $0.insert(name) } }
    func allow(_ name: String) { names.withLock { _ = $0.remove(name) } }

    var denial: Denial {
        { [self] path in
            guard let leaf = path.first.map({ CertificateLife($0) }) else { return nil }
            return names.withLock { names in
                names.contains { leaf.name.hasSuffix("/node/\($0)") } ? "stolen" : nil
            }
        }
    }
}

@Suite("Peers that are denied", .timeLimit(.minutes(1)))
struct DenialTests {
    private let mesh: Mesh
    private let denied = Denied()
    private let a: TestNode

    init() throws {
        mesh = try Mesh(east, west)
        let denial = denied.denial
        a = try mesh.node(east, "a") { $0.denied = denial }
    }

    private static func isDenial(_ reason: RefusalReason) -> Bool {
        if case .trust(.denied) = reason { true } else { false }
    }

    private func distrusted(_ count: Int) async throws -> [NodeID] {
        try await a.log.wait("nobody is distrusted") { events in
            let nodes = events.compactMap { event -> NodeID? in
                if case .distrusted(let node) = event { node } else { nil }
            }
            return nodes.count >= count ? nodes : nil
        }
    }

    @Test("one peer's link ends at once, others' don't, and it comes back when it is allowed again")
    func link() async throws {
        let (b, c) = (try mesh.node(west, "b"), try mesh.node(west, "c"))
        let port = try await a.service.start().port
        b.dial(port)
        c.dial(port)
        let (toB, toC) = (try await a.link(to: "b"), try await a.link(to: "c"))

        denied.deny("b")
        #expect(try a.service.judgeAgain().map(\.node) == ["b"])
        #expect(try await a.down(toB.id) == .denied)
        #expect(try await distrusted(1) == [toB.node])
        _ = try await a.refusal(Self.isDenial)
        #expect(a.counters.linksOpened == 2)
        #expect(a.service.send([1], on: toC.id), "c stays")
        #expect(try a.service.judgeAgain().isEmpty, "it is told once")

        denied.allow("b")
        try a.service.judgeAgain()
        _ = try await a.link(to: "b", after: toB.id)
    }

    @Test("a node that is dialled is refused as well")
    func dialler() async throws {
        denied.deny("b")
        let b = try mesh.node(west, "b")
        a.dial(try await b.service.start().port)
        _ = try await a.refusal(Self.isDenial)
        #expect(a.counters.linksOpened == 0)
    }

    @Test("a node without a link is distrusted too: its heartbeat keys outlive a link")
    func unlinked() async throws {
        var b: TestNode? = try mesh.node(west, "b")
        b?.dial(try await a.service.start().port)
        let link = try await a.link(to: "b")
        await b?.stop()
        b = nil
        _ = try await a.down(link.id)
        denied.deny("b")
        try a.service.judgeAgain()
        #expect(try await distrusted(1) == [link.node])
    }

    @Test("who is denied between its handshake and its introduction gets no link")
    func introduction() async throws {
        let port = try await a.service.start().port
        let late = try await RawPeer(security: mesh.security(west, "b"), port: port)
        // Completes with the handshake.
        try await late.write([])
        denied.deny("b")
        try a.service.judgeAgain()
        // The other side may not have been done with the handshake: then it is refused there.
        try? await late.write(.hello, RawPeer.hello(west, 2, "b").encoded)
        _ = try await a.refusal(Self.isDenial)
        #expect(a.counters.linksOpened == 0)
    }

    @Test("a verification by rules that have changed since is repeated before it counts")
    func staleVerification() throws {
        let security = try mesh.security(west, "b")
        let presented = try security.credentials.chainDER()
        func peer(_ generation: UInt64) -> PeerVerification.Peer {
            PeerVerification.Peer(
                identity: security.credentials.identity, presented: presented, verifiedAt: Date(),
                notAfter: security.credentials.notAfter, generation: generation)
        }
        denied.deny("b")
        let objections = a.service.state.withLock { state in
            state.generation = 1
            return (state.objection(to: peer(0)), state.objection(to: peer(1)))
        }
        #expect(objections.0.map(Self.isDenial) == true)
        #expect(objections.1 == nil, "verified by the present rules: the handshake judged it")
    }

    @Test("a denied peer doesn't come back with a ticket of its old session")
    func ticket() async throws {
        let b = try OpenSSLNode(mesh.security(west, "b").credentials)
        let port = try await a.service.start().port
        let hello = RawPeer.hello(west, 2, "b").encoded
        let client = try b.connect(to: port, ["-sess_out", b.session])
        try client.write(.hello, hello)
        let link = try await a.link(to: "b")
        try await eventually("the server gave no ticket") { try b.takeTicket() }

        denied.deny("b")
        try a.service.judgeAgain()
        #expect(try await a.down(link.id) == .denied)

        // The new context doesn't know the ticket: OpenSSL has to show its certificate.
        let resumed = try b.connect(to: port, ["-sess_in", b.ticket])
        try resumed.write(.hello, hello)
        _ = try await a.refusal(Self.isDenial)
        #expect(a.counters[.unverifiedSession] == 0)
        #expect(a.counters.linksOpened == 1)
    }

    @Test("more nodes than are remembered make room, and lose their keys, but not linked ones")
    func bound() throws {
        var known = KnownPeers()
        let identity = try mesh.security(west, "b").credentials.identity
        let peer = KnownPeers.Peer(identity: identity, presented: [], verifiedAt: Date())
        func node(_ number: Int) throws -> NodeID {
            try #require(NodeID(cluster: ClusterID(rawValue: 2)!, name: "n\(number)"))
        }
        let linked = try node(0)
        var forgotten: Set<NodeID> = []
        for number in 0..<KnownPeers.maximum + 10 {
            let other = known.insert(peer, of: try node(number)) { $0 == linked }
            if let other { forgotten.insert(other) }
        }
        #expect(known.peers.count == KnownPeers.maximum)
        #expect(forgotten.count == 10 && !forgotten.contains(linked))
    }
}
