// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import MeshModel
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MeshAdmin

/// Answers whatever it is sent with the same bytes, or hangs up for none, or after them.
private final class Parrot: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let reply: String
    private let hangsUp: Bool

    init(_ reply: String, hangsUp: Bool) {
        self.reply = reply
        self.hangsUp = hangsUp
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !reply.isEmpty else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: reply)), promise: nil)
        if hangsUp { context.close(promise: nil) }
    }
}

@Suite("What sits on the socket")
struct WrongServerTests {
    /// Runs a body with a client that hears `reply`, whatever it asks.
    private func hearing(
        _ reply: String, hangsUp: Bool = false, timeout: Duration = .seconds(10),
        _ body: @Sendable (AdminClient) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let path = "\(folder)/weft.sock"
            let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            Parrot(reply, hangsUp: hangsUp))
                    }
                }
                .bind(unixDomainSocketPath: path).get()
            try await body(AdminClient(socketPath: path, timeout: timeout))
            try await server.close()
        }
    }

    /// What a client says that asks for `status`, or for what the body asks, while `reply` is all that
    /// it hears.
    private func error(
        hearing reply: String, hangsUp: Bool = false,
        _ ask: @escaping @Sendable (AdminClient) async throws -> Void = {
            _ = try await $0.status()
        }
    ) async throws -> AdminClientError? {
        let heard = Mutex<AdminClientError?>(nil)
        try await hearing(reply, hangsUp: hangsUp, timeout: .milliseconds(300)) { client in
            let error = await #expect(throws: AdminClientError.self) { try await ask(client) }
            heard.withLock { $0 = error }
        }
        return heard.withLock { $0 }
    }

    private func response(_ server: String?, _ status: String, _ body: String) -> String {
        "HTTP/1.1 \(status)\r\n" + (server.map { "Server: \($0)\r\n" } ?? "")
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test(
        "another program's socket is told from an agent's",
        arguments: [
            ("SSH-2.0-OpenSSH_9.2\r\n", "it doesn't speak HTTP"),
            (
                "HTTP/1.1 200 OK\r\nServer: nginx/1.22\r\nContent-Length: 2\r\n\r\n{}",
                "it is 'nginx/1.22'"
            ),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it doesn't say its name"),
        ])
    func stranger(reply: String, reason: String) async throws {
        guard case .notAnAgent(_, let said) = try await error(hearing: reply) else {
            Issue.record("taken for an agent")
            return
        }
        #expect(said == reason)
    }

    @Test("who hangs up, or never answers, is no agent that can be asked")
    func silent() async throws {
        guard case .unreachable(_, let reason) = try await error(hearing: "") else {
            Issue.record("taken for an answer")
            return
        }
        #expect(reason.contains("hung up"))
        let late = try await error(hearing: "HTTP/1.1 200 OK\r\nServer: weftd\r\n")
        guard case .timedOut = late else {
            Issue.record("\(late.map { "\($0)" } ?? "nothing")")
            return
        }
    }

    @Test("an agent that dies while it answers, or while flows are followed, isn't another program")
    func death() async throws {
        let head = "HTTP/1.1 200 OK\r\nServer: weftd/\(weftVersion)\r\n"
        let half = try await error(hearing: head + "Content-Length: 100\r\n\r\n{", hangsUp: true)
        let chunk = head + "Transfer-Encoding: chunked\r\n\r\n2\r\n\n\n\r\n"
        let stream = try await error(hearing: chunk, hangsUp: true) {
            try await $0.flows(FlowQuestion(follow: true)) { _ in }
        }
        for said in [half, stream] {
            guard case .unreachable(_, let reason) = said else {
                Issue.record("\(said.map { "\($0)" } ?? "nothing")")
                continue
            }
            #expect(reason == "it went away in the middle of an answer")
        }
    }

    @Test(
        "an agent of another version is named, with what to do",
        arguments: [
            ("weftd", nil, "is older than this weft", "restart weftd with this version"),
            ("weftd/0.0.9", "0.0.9", "(0.0.9) is older than this weft", "restart weftd"),
            (
                "weftd/0.10.0", "0.10.0", "(0.10.0) is newer than this weft",
                "use the weft that came"
            ),
            ("weftd/\(weftVersion)", weftVersion, "is of another build", "restart weftd"),
        ] as [(String, String?, String, String)])
    func version(server: String, version: String?, sentence: String, hint: String) async throws {
        let fault = #"{"code":"notFound","message":"there is no GET /v1/why-flow"}"#
        let unknown = try #require(
            try await error(hearing: response(server, "404 Not Found", fault)) {
                _ = try await $0.why(from: "a", to: "b:80")
            })
        guard case .otherVersion(let agent, let question, _) = unknown else {
            Issue.record("\(unknown)")
            return
        }
        #expect(agent == version && question == "/v1/why-flow")
        #expect("\(unknown)".contains(sentence), "\(unknown)")
        #expect(unknown.hint.contains(hint))

        let odd = try #require(
            try await error(hearing: response(server, "200 OK", #"{"strange":1}"#)))
        guard case .otherVersion(version, "/v1/status", let lack) = odd else {
            Issue.record("\(odd)")
            return
        }
        #expect(lack.hasPrefix("its answer has no '"), "\(lack)")
    }

    @Test("an agent that knows no lines answers with rows; lines that make no sense are no answer")
    func rows() async throws {
        let rows = [EndpointStatus.fixture, .distant]
        let body = String(decoding: try adminJSON(rows), as: UTF8.self)
        try await hearing(response("weftd/0.0.9", "200 OK", body)) { client async throws in
            #expect(try await client.endpoints() == rows)
            #expect(try await client.endpoints(ofThisNode: true) == rows.filter(\.isLocal))
        }
        let lines = try #require(EndpointLines(rows))
        let misfit = String(decoding: try adminJSON(lines), as: UTF8.self)
            .replacing("\"lines\":\"", with: "\"lines\":\"one-more ", maxReplacements: 1)
        let odd = try await error(hearing: response("weftd/0.0.9", "200 OK", misfit)) {
            _ = try await $0.endpoints()
        }
        guard case .otherVersion("0.0.9", "/v1/endpoints", _) = odd else {
            Issue.record("\(odd.map { "\($0)" } ?? "nothing")")
            return
        }
    }

    @Test("a name that the agent doesn't know is no sign of another version")
    func unknownName() async throws {
        try await Harness.run { harness async throws in
            let fault = await #expect(throws: AdminFault.self) {
                try await harness.reading.why("ghost")
            }
            #expect(fault?.code == .notFound)
            let meant = await #expect(throws: AdminFault.self) {
                try await harness.reading.service(.init(namespace: "shop", name: "wbe"))
            }
            #expect(meant?.message == "there is no service shop/wbe; did you mean shop/web?")
            let route = await #expect(throws: AdminClientError.self) {
                try await harness.reading.document("/v1/nonsense")
            }
            #expect(
                route
                    == .otherVersion(
                        agent: weftVersion, question: "/v1/nonsense",
                        reason: "it knows of no such thing"))
        }
    }

    @Test("a socket that is closed to this user")
    func forbidden() async throws {
        // Root may use every socket.
        guard geteuid() != 0 else { return }
        try await Harness.run { harness async throws in
            #expect(chmod(harness.administration.socketPath, 0) == 0)
            let socket = harness.administration.socketPath
            await #expect(throws: AdminClientError.permissionDenied(socket: socket)) {
                _ = try await harness.administration.status()
            }
        }
    }

    @Test("a question about a flow reaches the agent, and its answer comes back")
    func flow() async throws {
        try await Harness.run { harness async throws in
            let story = try await harness.reading.why(
                from: "198.51.100.1", to: "[2001:db8::1]:53/udp")
            #expect(story.source.name == "198.51.100.1")
            #expect(story.destination.name == "2001:db8::1" && story.traffic == "UDP 53")
            let fault = await #expect(throws: AdminFault.self) {
                try await harness.reading.why(from: "a", to: "b:80", traffic: "80")
            }
            #expect(fault?.code == .invalidRequest)
        }
    }
}
