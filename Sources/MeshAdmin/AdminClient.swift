// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import FoundationEssentials
import Glibc
public import MeshModel
import NIOCore
import NIOHTTP1

/// Asks one agent through its unix socket.
///
/// Every method throws ``AdminClientError`` when no answer came and ``AdminFault`` when the agent
/// refuses.
public struct AdminClient: Sendable {
    /// Where an agent is found unless its configuration says otherwise.
    public static let defaultSocketPath = "/run/weft/weft.sock"
    public static let defaultAdministrationSocketPath = "/run/weft/weft-admin.sock"
    /// Largest answer that is read.
    public static let answerBytesMaximum = 256 << 20

    public let socketPath: String
    /// Time for a whole answer; for a stream of flows, for its start.
    public let timeout: Duration

    public init(socketPath: String = defaultSocketPath, timeout: Duration = .seconds(10)) {
        self.socketPath = socketPath
        self.timeout = timeout
    }

    public func status() async throws -> AgentStatus { try await get("/v1/status") }
    public func clusters() async throws -> [ClusterStatus] { try await get("/v1/clusters") }
    public func nodes() async throws -> [NodeStatus] { try await get("/v1/nodes") }
    /// - Parameter subject: `CLUSTER` or `CLUSTER/NODE`; one that isn't known is a fault `notFound`.
    public func why(_ subject: String) async throws -> HealthStory {
        let parts = subject.split(separator: "/", maxSplits: 1).map { segment(String($0)) }
        return try await get("/v1/why/\(parts.joined(separator: "/"))")
    }
    public func services() async throws -> [ServiceStatus] { try await get("/v1/services") }
    /// - Parameter ofThisNode: only of the agent's own node.
    public func endpoints(ofThisNode: Bool = false) async throws -> [EndpointStatus] {
        let path = "/v1/endpoints?form=lines" + (ofThisNode ? "&node=this" : "")
        let response = try await send(path, .GET, nil)
        let bytes = try await collect(response)
        let endpoints: [EndpointStatus]
        if bytes.first == UInt8(ascii: "[") {
            // An agent of an earlier version knows no lines, and not everything can be said in them.
            endpoints = try decode([EndpointStatus].self, from: bytes, path, by: response)
        } else {
            let lines = try decode(EndpointLines.self, from: bytes, path, by: response)
            guard let rows = lines.endpoints else {
                throw AdminClientError.otherVersion(
                    agent: version(of: response), question: question(path),
                    reason: "its answer makes no sense here (a line of an endpoint)")
            }
            endpoints = rows
        }
        // One of a still earlier version answers with all.
        return ofThisNode ? endpoints.filter(\.isLocal) : endpoints
    }
    public func identities() async throws -> [IdentityStatus] { try await get("/v1/identities") }
    public func drops() async throws -> [DropCount] { try await get("/v1/drops") }
    public func maps() async throws -> [MapUsage] { try await get("/v1/bpf/maps") }
    public func kernelServices() async throws -> [KernelService] {
        try await get("/v1/bpf/services")
    }
    public func connections() async throws -> [ConnectionEntry] {
        try await get("/v1/bpf/connections")
    }

    /// Every frontend of one service; one that isn't there is a fault `notFound`.
    public func service(_ object: ObjectName) async throws -> [ServiceStatus] {
        try await get("/v1/services/\(segment(object.namespace))/\(segment(object.name))")
    }

    /// An answer as it came, whatever the agent's version.
    ///
    /// - Parameter path: `/v1/status`
    public func document(_ path: String) async throws -> [UInt8] { try await exchange(path) }

    /// Prometheus' text format.
    public func metrics() async throws -> String {
        String(decoding: try await exchange("/metrics"), as: UTF8.self)
    }

    /// Attaches a workload to the agent's node; needs the administration socket.
    public func attach(_ request: AttachRequest) async throws -> EndpointStatus {
        let path = "/v1/endpoints"
        return try await ask(path, .POST, adminJSON(request))
    }

    /// Detaches a workload from the agent's node; needs the administration socket.
    public func detach(_ endpoint: ObjectName) async throws {
        _ = try await exchange(
            "/v1/endpoints/\(segment(endpoint.namespace))/\(segment(endpoint.name))", .DELETE)
    }

    /// Starts or ends draining the agent's cluster; needs the administration socket.
    public func drain(_ draining: Bool) async throws {
        _ = try await exchange("/v1/drain", .POST, adminJSON(DrainRequest(draining: draining)))
    }

    public func trustStatus() async throws -> TrustStatus { try await get("/v1/ca/status") }
    public func denials() async throws -> [DenialStatus] { try await get("/v1/ca/denials") }

    /// Denies certificates; needs the administration socket.
    public func deny(_ request: DenyRequest) async throws {
        _ = try await exchange("/v1/ca/deny", .POST, adminJSON(request))
    }

    /// Takes a denial back; needs the administration socket.
    public func allow(_ request: AllowRequest) async throws {
        _ = try await exchange("/v1/ca/allow", .POST, adminJSON(request))
    }

    /// Has a node's key certified; needs the administration socket.
    public func certify(_ request: CertifyRequest) async throws -> CertifyAnswer {
        let path = "/v1/ca/certificates"
        return try await ask(path, .POST, adminJSON(request))
    }

    /// How far the agent's node is with leaving its cluster.
    public func departure() async throws -> DepartureStatus { try await get("/v1/node/departure") }

    /// Begins to leave the cluster, or stays after all; needs the administration socket.
    public func depart(_ request: DepartureRequest) async throws -> DepartureStatus {
        let path = "/v1/node/departure"
        return try await ask(path, .POST, adminJSON(request))
    }

    /// The node's gossip keys, the newest last.
    public func gossipKeys() async throws -> [GossipKeyStatus] {
        try await get("/v1/node/gossip-keys")
    }

    /// Gives the node's gossip key a successor; needs the administration socket.
    public func rotateGossipKey() async throws -> [GossipKeyStatus] {
        let path = "/v1/node/gossip-keys"
        return try await ask(path, .POST, [])
    }
}

extension AdminClient {
    /// One pool for the life of the process: a client of the library must not be let go of without
    /// an asynchronous shutdown.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.httpVersion = .http1Only
        configuration.redirectConfiguration = .disallow
        configuration.connectionPool.idleTimeout = .seconds(5)
        // Otherwise a socket where nobody listens is retried until the timeout.
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(configuration: configuration)
    }()

    private static let timeouts: [HTTPClientError] = [
        .deadlineExceeded, .connectTimeout, .readTimeout,
    ]

    func get<Answer: Decodable>(_ path: String) async throws -> Answer {
        try await ask(path)
    }

    func post<Answer: Decodable>(
        _ path: String, _ body: some Encodable
    ) async throws -> Answer {
        try await ask(path, .POST, adminJSON(body))
    }

    func ask<Answer: Decodable>(
        _ path: String, _ method: HTTPMethod = .GET, _ body: [UInt8]? = nil
    ) async throws -> Answer {
        let response = try await send(path, method, body)
        return try decode(
            Answer.self, from: try await collect(response), path, by: response)
    }

    func exchange(
        _ path: String, _ method: HTTPMethod = .GET, _ body: [UInt8]? = nil
    ) async throws -> [UInt8] {
        try await collect(try await send(path, method, body))
    }

    private func collect(_ response: HTTPClientResponse) async throws -> [UInt8] {
        do {
            let answer = try await response.body.collect(upTo: Self.answerBytesMaximum)
            return Array(answer.readableBytesView)
        } catch {
            throw translate(error)
        }
    }

    /// The response of a request that succeeded, its body yet to be read.
    func send(
        _ path: String, _ method: HTTPMethod, _ body: [UInt8]?
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: "http+unix://\(segment(socketPath))\(path)")
        request.method = method
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(body)
        }
        let response: HTTPClientResponse
        let fault: ByteBuffer
        do {
            response = try await Self.http.execute(
                request, timeout: .nanoseconds(timeout.nanoseconds))
            try checkIsAgent(response)
            if (200..<300).contains(response.status.code) { return response }
            fault = try await response.body.collect(upTo: AdminServer.requestBytesMaximum)
        } catch {
            throw translate(error)
        }
        let said = try decode(
            AdminFault.self, from: Array(fault.readableBytesView), path, by: response)
        if said.isUnknownRoute(method.rawValue, path) {
            throw AdminClientError.otherVersion(
                agent: version(of: response), question: question(path),
                reason: "it knows of no such thing")
        }
        throw said
    }

    func decode<Answer: Decodable>(
        _: Answer.Type, from bytes: [UInt8], _ path: String, by response: HTTPClientResponse
    ) throws -> Answer {
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(bytes))
        } catch {
            throw AdminClientError.otherVersion(
                agent: version(of: response), question: question(path),
                reason: Self.sentence(error))
        }
    }

    /// - Throws: ``AdminClientError`` `.notAnAgent` for an answer that doesn't say it is an agent's.
    private func checkIsAgent(_ response: HTTPClientResponse) throws {
        let server = response.headers.first(name: "server")
        guard server?.split(separator: "/").first != Substring(AdminServer.programName) else {
            return
        }
        throw AdminClientError.notAnAgent(
            socket: socketPath, reason: server.map { "it is '\($0)'" } ?? "it doesn't say its name")
    }

    /// `weftd/0.1.0`; agents before that said `weftd` alone.
    private func version(of response: HTTPClientResponse) -> String? {
        let server = response.headers.first(name: "server")?.split(separator: "/") ?? []
        return server.count == 2 ? String(server[1]) : nil
    }

    /// A path without what was asked with it.
    private func question(_ path: String) -> String {
        path.split(separator: "?").first.map(String.init) ?? path
    }

    func translate(_ error: any Error) -> any Error {
        switch error {
        case let error as IOError where error.errnoCode == EACCES || error.errnoCode == EPERM:
            AdminClientError.permissionDenied(socket: socketPath)
        case let error as IOError:
            AdminClientError.unreachable(socket: socketPath, reason: sentence(error.errnoCode))
        case let error as HTTPClientError where Self.timeouts.contains(error):
            AdminClientError.timedOut(socket: socketPath, seconds: timeout.seconds)
        case let error as HTTPParserError where error == .invalidEOFState:
            AdminClientError.unreachable(
                socket: socketPath, reason: "it went away in the middle of an answer")
        case is HTTPParserError:
            AdminClientError.notAnAgent(socket: socketPath, reason: "it doesn't speak HTTP")
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            AdminClientError.unreachable(
                socket: socketPath, reason: "whoever listens there hung up")
        case let error as HTTPClientError:
            AdminClientError.unreachable(socket: socketPath, reason: "\(error)")
        case let error as ChannelError:
            // A connection kept from an earlier request, whose agent has gone since.
            AdminClientError.unreachable(socket: socketPath, reason: "\(error)")
        case is SocketAddressError:
            AdminClientError.unreachable(
                socket: socketPath, reason: "the path is longer than 107 bytes")
        default:
            error
        }
    }

    /// What an answer has that isn't understood.
    private static func sentence(_ error: any Error) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        return switch error {
        case DecodingError.keyNotFound(let key, _): "its answer has no '\(key.stringValue)'"
        case DecodingError.typeMismatch(_, let context),
            DecodingError.valueNotFound(_, let context):
            "its answer has another kind of '\(path(context))'"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            "its answer has a '\(path(context))' that isn't known here"
        default: "its answer makes no sense here"
        }
    }

    private var isSocket: Bool {
        var status = stat()
        return stat(socketPath, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
    }

    private func sentence(_ code: CInt) -> String {
        switch code {
        case ENOENT: "there is no such socket"
        case ECONNREFUSED:
            isSocket ? "nobody listens there any more" : "it is a file or folder, and no socket"
        default: String(cString: strerror(code))
        }
    }
}

extension AdminFault {
    /// Said by an agent that doesn't know the question, and not of a name in it.
    fileprivate func isUnknownRoute(_ method: String, _ path: String) -> Bool {
        guard code == .notFound else { return false }
        let asked = path.split(separator: "?").first.map(String.init) ?? path
        return message == FaultMiddleware.unknownRoute(method, asked)
    }
}

/// Percent-encodes everything that RFC 3986 §2.3 does not call unreserved.
func segment(_ text: String) -> String {
    text.utf8.reduce(into: "") { result, byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            result.unicodeScalars.append(Unicode.Scalar(byte))
        default:
            result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }
}
