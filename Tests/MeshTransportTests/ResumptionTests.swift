// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshTrust
import NIOCore
import Testing

@testable import MeshTransport

/// OpenSSL's client, since swift-nio-ssl's never resumes a session.
private final class OpenSSLClient {
    private let process = Process()
    private let input = Pipe()

    init(port: UInt16, credentials: String, issuers: String, _ options: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "openssl", "s_client", "-quiet", "-connect", "127.0.0.1:\(port)", "-cert",
                credentials, "-key", credentials, "-cert_chain", issuers,
            ] + options
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func write(_ kind: Frame.Kind, _ payload: [UInt8]) throws {
        let frame = Frame.encode(kind, payload, allocator: ByteBufferAllocator())
        try input.fileHandleForWriting.write(contentsOf: Data(frame.readableBytesView))
    }
}

@Suite("Resumed TLS sessions", .timeLimit(.minutes(1)))
struct ResumptionTests {
    @Test("a peer that comes back with an old ticket, and so unverified, gets no link")
    func ticket() async throws {
        let mesh = try Mesh(east, west)
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("weft-resumption-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let own = try mesh.security(west, "b").credentials
        try own.save(in: folder)
        let (credentials, session) = ("\(folder)/node.pem", "\(folder)/session")
        // The client sends one certificate of the first file, and all of the second.
        let issuers = "\(folder)/issuers.pem"
        let text = try own.chainDER().dropFirst().map {
            "-----BEGIN CERTIFICATE-----\n"
                + Data($0).base64EncodedString(options: .lineLength64Characters)
                + "\n-----END CERTIFICATE-----\n"
        }
        try text.joined().write(toFile: issuers, atomically: true, encoding: .utf8)
        let a = try mesh.node(east, "a")
        let port = try await a.service.start().port
        let hello = RawPeer.hello(west, 2, "b").encoded

        var client: OpenSSLClient? = try OpenSSLClient(
            port: port, credentials: credentials, issuers: issuers, ["-sess_out", session])
        try client?.write(.hello, hello)
        let link = try await a.link(to: "b")
        try await eventually("the server gave no ticket") {
            FileManager.default.contents(atPath: session)?.isEmpty == false
        }
        client = nil
        #expect(try await a.down(link.id) == .closedByPeer)

        let resumed = try OpenSSLClient(
            port: port, credentials: credentials, issuers: issuers, ["-sess_in", session])
        try resumed.write(.hello, hello)
        _ = try await a.refusal { $0 == .unverifiedSession }
        #expect(a.counters[.unverifiedSession] == 1)
        #expect(a.counters.linksOpened == 1)

        // New certificates or bundles mean a new context, which doesn't know the ticket.
        try a.service.reload(mesh.security(east, "a"))
        let verified = try OpenSSLClient(
            port: port, credentials: credentials, issuers: issuers, ["-sess_in", session])
        try verified.write(.hello, hello)
        _ = try await a.link(to: "b", after: link.id)
    }
}
