// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import MeshTransport

@Suite("Resumed TLS sessions", .timeLimit(.minutes(1)))
struct ResumptionTests {
    @Test("a peer that comes back with an old ticket, and so unverified, gets no link")
    func ticket() async throws {
        let mesh = try Mesh(east, west)
        let b = try OpenSSLNode(mesh.security(west, "b").credentials)
        let a = try mesh.node(east, "a")
        let port = try await a.service.start().port
        let hello = RawPeer.hello(west, 2, "b").encoded

        var client: OpenSSLClient? = try b.connect(to: port, ["-sess_out", b.session])
        try client?.write(.hello, hello)
        let link = try await a.link(to: "b")
        try await eventually("the server gave no ticket") { try b.takeTicket() }
        client = nil
        #expect(try await a.down(link.id) == .closedByPeer)

        let resumed = try b.connect(to: port, ["-sess_in", b.ticket])
        try resumed.write(.hello, hello)
        _ = try await a.refusal { $0 == .unverifiedSession }
        #expect(a.counters[.unverifiedSession] == 1)
        #expect(a.counters.linksOpened == 1)

        // New certificates or bundles mean a new context, which doesn't know the ticket.
        try a.service.reload(mesh.security(east, "a"))
        let verified = try b.connect(to: port, ["-sess_in", b.ticket])
        try verified.write(.hello, hello)
        _ = try await a.link(to: "b", after: link.id)
    }
}
