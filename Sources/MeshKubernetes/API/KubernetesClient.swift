// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MeshLease
import MeshModel
import NIOCore
import NIOHTTP1
import NIOHTTPCompression

/// Asks one API server. Every method throws ``KubernetesError``.
public struct KubernetesClient: Sendable {
    /// Largest answer that is kept in memory: a page of a list.
    public static let maximumAnswerBytes = 16 << 20
    /// Time for a whole answer that is no watch; for a watch, for its start.
    public static let answerTimeout = Duration.seconds(30)

    private let server: String
    private let connections: ServerConnections
    private let tokens: TokenSource
    private let answerTimeout: Duration

    /// - Parameters:
    ///   - answerTimeout: time for a whole answer that is no watch; for a watch, for its start.
    ///   - readTimeout: for how long a watch may be silent; bookmarks come about once a minute.
    /// - Throws: ``KubernetesError`` `.configuration`: the address, or a file, can't be used.
    public init(
        _ configuration: KubernetesConfiguration, answerTimeout: Duration = answerTimeout,
        readTimeout: Duration = .seconds(90)
    ) throws(KubernetesError) {
        server = try configuration.checkedServer()
        connections = ServerConnections(configuration, readTimeout: readTimeout)
        tokens = TokenSource(configuration.credentials)
        self.answerTimeout = answerTimeout
        let generation = try connections.begin()
        connections.end(generation)
    }

    /// Closes its connections once their requests have ended; to be called at the end.
    public func close() { connections.close() }

    // MARK: Objects

    /// - Returns: the object's JSON.
    public func get(_ path: ObjectPath) async throws(KubernetesError) -> [UInt8] {
        try await answer(to: ObjectRequest(.get, path))
    }

    public func create(
        _ path: ObjectPath, _ body: [UInt8]
    ) async throws(KubernetesError) -> [UInt8] {
        try await answer(to: ObjectRequest(.post, path, body: body))
    }

    /// - Parameter body: with the version it replaces; `.conflict` if that isn't the present one.
    public func update(
        _ path: ObjectPath, _ body: [UInt8]
    ) async throws(KubernetesError) -> [UInt8] {
        try await answer(to: ObjectRequest(.put, path, body: body))
    }

    public func patch(
        _ path: ObjectPath, _ patch: ObjectRequest.Patch, _ body: [UInt8]
    ) async throws(KubernetesError) -> [UInt8] {
        try await answer(to: .patch(path, patch, body: body))
    }

    public func delete(_ path: ObjectPath) async throws(KubernetesError) {
        _ = try await answer(to: ObjectRequest(.delete, path))
    }

    /// One page of a list.
    ///
    /// - Parameter continueToken: nil: the first one.
    public func page(
        of selection: ObjectSelection, limit: Int, continueToken: String? = nil
    ) async throws(KubernetesError) -> ObjectPage {
        let bytes = try await answer(
            to: .page(of: selection, limit: limit, continueToken: continueToken))
        do throws(JSONFault) {
            return try ObjectPage(bytes)
        } catch {
            throw KubernetesError(.malformed, "the list is no list: \(error)")
        }
    }

    /// Sends one request, once.
    ///
    /// - Returns: the answer's body; only of a success.
    public func answer(
        to request: ObjectRequest
    ) async throws(KubernetesError) -> [UInt8] {
        let end = Instant.bootNow + answerTimeout
        return try await exchange(request) { response, hear in
            var body: [UInt8] = []
            for try await chunk in response.body {
                hear()
                guard Instant.bootNow < end else {
                    throw KubernetesError(.timedOut, "the answer isn't complete in time")
                }
                guard body.count + chunk.readableBytes <= Self.maximumAnswerBytes else {
                    throw KubernetesError(
                        .tooLarge, "the answer is larger than \(Self.maximumAnswerBytes) bytes")
                }
                body += chunk.readableBytesView
            }
            return body
        }
    }

    /// Follows a resource until the server ends the watch.
    ///
    /// - Parameters:
    ///   - seconds: when the server is to end it.
    ///   - body: false ends the watch. The socket is read on when it returns.
    /// - Throws: also `.malformed` for a stream that ends in the middle of an object.
    public func watch(
        _ selection: ObjectSelection, from start: WatchStart, seconds: Int,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (WatchNews) async -> Bool
    ) async throws(KubernetesError) {
        try await exchange(.watch(selection, from: start, seconds: seconds)) { response, hear in
            guard await body(.opened) else { return }
            var decoder = WatchDecoder()
            for try await chunk in response.body {
                hear()
                let (events, fault) = decoder.decode(chunk.readableBytesView)
                for event in events {
                    guard await body(.event(event)) else { return }
                }
                if let fault { throw fault }
            }
            guard decoder.isBetweenLines else {
                throw KubernetesError(.malformed, "the watch was cut in the middle of an object")
            }
        }
    }
}

extension KubernetesClient {
    private func exchange<Result: Sendable>(
        _ request: ObjectRequest,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (HTTPClientResponse, _ hear: () -> Void) async throws -> Result
    ) async throws(KubernetesError) -> Result {
        let begin = Instant.bootNow
        let http = try httpRequest(request, at: begin)
        let generation = try connections.begin()
        defer { connections.end(generation) }
        let hear = { generation.hear(at: .bootNow) }
        do {
            let response = try await generation.http.execute(
                http, timeout: TimeAmount(answerTimeout))
            hear()
            guard (200..<300).contains(response.status.code) else {
                throw try await Self.refusal(response)
            }
            return try await body(response, hear)
        } catch {
            let error = Self.translated(error)
            switch error.code {
            case .unavailable, .timedOut: connections.suspect(generation, since: begin)
            case .unauthorized: tokens.refuse()
            default: break
            }
            throw error
        }
    }

    private func httpRequest(
        _ request: ObjectRequest, at now: Instant
    ) throws(KubernetesError) -> HTTPClientRequest {
        var http = HTTPClientRequest(url: server + request.target)
        http.method = HTTPMethod(rawValue: request.method.rawValue)
        http.headers.add(name: "Accept", value: "application/json")
        http.headers.add(name: "User-Agent", value: "weftd")
        if request.query.first?.name == "watch" {
            // Small events, at once; a compressor would hold them back.
            http.headers.add(name: "Accept-Encoding", value: "identity")
        }
        if let token = try tokens.token(at: now) {
            http.headers.add(name: "Authorization", value: "Bearer \(token)")
        }
        if !request.body.isEmpty {
            http.headers.add(name: "Content-Type", value: request.contentType)
            http.body = .bytes(ByteBuffer(bytes: request.body))
        }
        return http
    }

    /// Largest body of a refusal that is looked at.
    private static let maximumRefusalBytes = 64 << 10

    private static func refusal(_ response: HTTPClientResponse) async throws -> KubernetesError {
        var body: [UInt8] = []
        for try await chunk in response.body {
            body += chunk.readableBytesView.prefix(maximumRefusalBytes - body.count)
            guard body.count < maximumRefusalBytes else { break }
        }
        return KubernetesError(
            status: Int(response.status.code), body: body,
            retryAfter: response.headers.first(name: "Retry-After"))
    }

    /// What the library says has no secrets, but addresses and words of its own.
    private static func translated(_ error: any Error) -> KubernetesError {
        switch error {
        case let error as KubernetesError: return error
        case let error as JSONFault: return KubernetesError(.malformed, "\(error)")
        case let error as HTTPClientError:
            let isTimeout =
                error == .readTimeout || error == .deadlineExceeded || error == .connectTimeout
                || error == .getConnectionFromPoolTimeout
            return KubernetesError(
                isTimeout ? .timedOut : .unavailable, isTimeout ? "no answer in time" : "\(error)")
        case is NIOHTTPDecompression.DecompressionError:
            return KubernetesError(.tooLarge, "the answer unpacks to more than may be kept")
        default: return KubernetesError(.unavailable, "\(error)")
        }
    }
}
