// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshTrust
import NIOCore

@testable import MeshTransport

/// OpenSSL's client, since swift-nio-ssl's never resumes a session.
final class OpenSSLClient {
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

/// A node's certificates in files, for OpenSSL.
final class OpenSSLNode {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("weft-openssl-\(UUID().uuidString)").path

    init(_ credentials: NodeCredentials) throws {
        try credentials.save(in: folder)
        // The client sends one certificate of the first file, and all of the second.
        let text = try credentials.chainDER().dropFirst().map {
            "-----BEGIN CERTIFICATE-----\n"
                + Data($0).base64EncodedString(options: .lineLength64Characters)
                + "\n-----END CERTIFICATE-----\n"
        }
        try text.joined().write(toFile: issuers, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private var issuers: String { "\(folder)/issuers.pem" }
    /// Where a client writes its session to, anew for each of a server's two tickets.
    var session: String { "\(folder)/session" }
    /// Where `takeTicket` leaves it.
    var ticket: String { "\(folder)/ticket" }

    /// False as long as the client hasn't written one whole.
    func takeTicket() throws -> Bool {
        guard let written = FileManager.default.contents(atPath: session),
            String(decoding: written, as: UTF8.self)
                .hasSuffix("-----END SSL SESSION PARAMETERS-----\n")
        else { return false }
        try written.write(to: URL(fileURLWithPath: ticket))
        return true
    }

    func connect(to port: UInt16, _ options: [String]) throws -> OpenSSLClient {
        try OpenSSLClient(
            port: port, credentials: "\(folder)/\(NodeCredentials.fileName)", issuers: issuers,
            options)
    }
}
