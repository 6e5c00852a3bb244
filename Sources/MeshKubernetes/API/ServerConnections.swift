// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Logging
import MeshModel
import NIOCore
import NIOHTTPCompression
import NIOSSL
import Synchronization

/// The connections to one API server, replaced as a whole when they seem dead: one that is idle and
/// half-open would be given to the next request. So whoever hears nothing at all retires the
/// generation; what is under way on it ends by itself.
final class ServerConnections: Sendable {
    static let connectTimeout = Duration.seconds(5)

    final class Generation: Sendable {
        let http: HTTPClient
        fileprivate let state = Mutex(State())

        fileprivate struct State {
            var users = 0
            var isRetired = false
            var heard = Instant.zero
        }

        fileprivate init(_ http: HTTPClient) { self.http = http }

        /// Bytes arrived: the connection lives.
        func hear(at now: Instant) { state.withLock { $0.heard = max($0.heard, now) } }
    }

    private let configuration: KubernetesConfiguration
    private let readTimeout: Duration
    private let current = Mutex<Generation?>(nil)

    init(_ configuration: KubernetesConfiguration, readTimeout: Duration) {
        self.configuration = configuration
        self.readTimeout = readTimeout
    }

    /// To be given back with ``end(_:)``.
    ///
    /// - Throws: ``KubernetesError`` `.configuration` if a certificate or key can't be read.
    func begin() throws(KubernetesError) -> Generation {
        if let present = use() { return present }
        let made = Generation(HTTPClient(configuration: try httpConfiguration()))
        let chosen = current.withLock { current in
            let chosen = current ?? made
            current = chosen
            chosen.state.withLock { $0.users += 1 }
            return chosen
        }
        if chosen !== made { shutDown(made) }
        return chosen
    }

    private func use() -> Generation? {
        current.withLock { current in
            current?.state.withLock { $0.users += 1 }
            return current
        }
    }

    func end(_ generation: Generation) {
        let isLast = generation.state.withLock { state in
            state.users -= 1
            return state.isRetired && state.users == 0
        }
        if isLast { shutDown(generation) }
    }

    /// A request that began at `begin` broke or heard nothing in time.
    func suspect(_ generation: Generation, since begin: Instant) {
        let isDead = generation.state.withLock { $0.heard < begin }
        if isDead { retire(generation) }
    }

    /// Connections and files are made and read anew; nothing is interrupted.
    private func retire(_ generation: Generation) {
        current.withLock { if $0 === generation { $0 = nil } }
        let isUnused = generation.state.withLock { state in
            guard !state.isRetired else { return false }
            state.isRetired = true
            return state.users == 0
        }
        if isUnused { shutDown(generation) }
    }

    deinit { close() }

    func close() {
        if let generation = current.withLock({ $0 }) { retire(generation) }
    }

    private func shutDown(_ generation: Generation) {
        // All of its requests have ended: what is left is to close idle connections, which nobody
        // waits for and whose failure means that they are closed.
        generation.http.shutdown { _ in }
    }

    private func httpConfiguration() throws(KubernetesError) -> HTTPClient.Configuration {
        var http = HTTPClient.Configuration(
            tlsConfiguration: configuration.isSecure ? try tlsConfiguration() : nil,
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: TimeAmount(Self.connectTimeout), read: TimeAmount(readTimeout)),
            // An answer that unpacks to more than a page is no page.
            decompression: .enabled(limit: .size(KubernetesClient.maximumAnswerBytes)))
        // Whoever reads slowly holds back the server: a stream of HTTP/2 takes 8 MiB ahead here, in
        // buffers that its parser makes a hundred times as large.
        http.httpVersion = .http1Only
        // Each watch holds a connection.
        http.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 32
        // Otherwise a server that isn't there is tried until the deadline.
        http.connectionPool.retryConnectionEstablishment = false
        if let address = configuration.address, let host = configuration.host {
            http.dnsOverride = [host: address]
        }
        return http
    }

    private func tlsConfiguration() throws(KubernetesError) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let authorities = configuration.authorities {
            let bytes = try authorities.read(as: "the server's CA")
            tls.trustRoots = .certificates(
                try Self.read("the server's CA") { try NIOSSLCertificate.fromPEMBytes(bytes) })
        }
        if case .certificate(let chain, let key) = configuration.credentials {
            let chain = try chain.read(as: "the client's certificate")
            let key = try key.read(as: "the client's key")
            tls.certificateChain = try Self.read("the client's certificate") {
                try NIOSSLCertificate.fromPEMBytes(chain).map { .certificate($0) }
            }
            tls.privateKey = .privateKey(
                try Self.read("the client's key") {
                    try NIOSSLPrivateKey(bytes: key, format: .pem)
                })
        }
        return tls
    }

    private static func read<Result>(
        _ purpose: String, _ body: () throws -> Result
    ) throws(KubernetesError) -> Result {
        do { return try body() } catch {
            throw KubernetesError(.configuration, "\(purpose) is no PEM that can be used")
        }
    }
}
