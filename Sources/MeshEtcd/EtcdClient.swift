// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import GRPCNIOTransportHTTP2Posix
public import Logging
import MeshModel
import Synchronization

/// A connection to each member of an etcd cluster, and the few calls that Weft makes.
///
/// Calls go to one member until it fails to answer; then the next one has its turn. Calls that only
/// read are repeated there at once; those that write are not, for they may have taken effect.
public final class EtcdClient: Sendable {
    typealias Connection = GRPCClient<HTTP2ClientTransport.Posix>

    public let configuration: EtcdConfiguration
    let logger: Logger
    private let connections: [Connection]
    private let preferred = Mutex(0)

    /// - Throws: ``EtcdError`` `.configuration`: no endpoint, plain text beyond this machine, or
    ///   files that can't be used.
    public init(_ configuration: EtcdConfiguration, logger: Logger) throws(EtcdError) {
        guard !configuration.endpoints.isEmpty else {
            throw EtcdError(.configuration, "no endpoint is given")
        }
        if configuration.credentials == nil,
            let remote = configuration.endpoints.first(where: { !$0.isLoopback })
        {
            throw EtcdError(.configuration, "\(remote) is not on this machine and needs TLS")
        }
        self.configuration = configuration
        self.logger = logger
        do {
            connections = try configuration.endpoints.map { endpoint in
                GRPCClient(
                    transport: try HTTP2ClientTransport.Posix(
                        target: endpoint.target,
                        transportSecurity: configuration.credentials?.security ?? .plaintext,
                        config: .defaults { config in
                            config.backoff.initial = .milliseconds(100)
                            config.backoff.max = .seconds(2)
                        }))
            }
        } catch {
            throw EtcdError(.configuration, "\(error)")
        }
    }

    /// Keeps the connections until it is cancelled. Calls made before wait for it.
    public func run() async {
        await withDiscardingTaskGroup { group in
            for (connection, endpoint) in zip(connections, configuration.endpoints) {
                group.addTask { [logger] in
                    do { try await connection.runConnections() } catch {
                        logger.error(
                            "the connection to etcd ended",
                            metadata: [
                                "etcd.endpoint": "\(endpoint)", "error": "\(error)",
                            ])
                    }
                }
            }
        }
    }

    var options: CallOptions {
        var options = CallOptions.defaults
        options.timeout = configuration.timeout
        options.maxResponseMessageBytes = EtcdLimit.messageBytes
        // The transport takes its bound for responses from here, too.
        options.maxRequestMessageBytes = EtcdLimit.messageBytes
        return options
    }

    /// - Parameter isRepeatable: whether every endpoint may be asked in turn.
    func call<Result: Sendable>(
        isRepeatable: Bool, _ body: (Connection) async throws -> Result
    ) async throws(EtcdError) -> Result {
        var failure = EtcdError(.unavailable, "no endpoint answered")
        for _ in 0..<(isRepeatable ? connections.count : 1) {
            let index = preferred.withLock { $0 }
            do { return try await body(connections[index]) } catch { failure = EtcdError(error) }
            guard failure.code == .unavailable else { throw failure }
            leave(index)
        }
        throw failure
    }

    private func leave(_ index: Int) {
        preferred.withLock { preferred in
            if preferred == index { preferred = (index + 1) % connections.count }
        }
    }
}

extension EtcdEndpoint {
    fileprivate var target: any ResolvableTarget {
        guard let address else { return .dns(host: host, port: Int(port)) }
        return address.ipv4 == nil
            ? .ipv6(address: host, port: Int(port)) : .ipv4(address: host, port: Int(port))
    }
}

extension EtcdCredentials {
    fileprivate var security: HTTP2ClientTransport.Posix.TransportSecurity {
        .mTLS(
            certificateChain: [.file(path: certificateFile, format: .pem)],
            privateKey: .file(path: keyFile, format: .pem)
        ) { config in
            config.trustRoots = .certificates([.file(path: trustedFile, format: .pem)])
            config.serverCertificateVerification = .fullVerification
        }
    }
}
