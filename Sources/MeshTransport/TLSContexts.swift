// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshTrust
import NIOCore
import NIOSSL
import Synchronization

/// TLS 1.3 with this node's certificate. Made anew with every change of certificate or bundles: old
/// session tickets die with the old context.
struct TLSContexts: Sendable {
    static let shutdownTimeout = TimeAmount.seconds(1)

    let client: NIOSSLContext
    let server: NIOSSLContext

    /// - Throws: ``TrustError`` or the TLS library's error: keep the previous contexts.
    init(credentials: NodeCredentials) throws {
        let chain = try credentials.chainDER().map {
            NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: $0, format: .der))
        }
        let key = NIOSSLPrivateKeySource.privateKey(
            try NIOSSLPrivateKey(bytes: Array(credentials.privateKeyPEM().utf8), format: .pem))

        // The verification callback decides alone, so the library gets no roots.
        var server = TLSConfiguration.makeServerConfigurationWithMTLS(
            certificateChain: chain, privateKey: key, trustRoots: .certificates([]))
        server.minimumTLSVersion = .tlsv13
        server.shutdownTimeout = Self.shutdownTimeout
        self.server = try NIOSSLContext(configuration: server)

        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = chain
        client.privateKey = key
        client.trustRoots = .certificates([])
        client.certificateVerification = .noHostnameVerification
        client.minimumTLSVersion = .tlsv13
        client.shutdownTimeout = Self.shutdownTimeout
        self.client = try NIOSSLContext(configuration: client)
    }
}

/// The verdict on one connection's certificates, kept for the handler behind TLS.
final class PeerVerification: Sendable {
    struct Peer: Sendable {
        let identity: PeerIdentity
        let presented: [[UInt8]]
        let verifiedAt: Date
        /// Of its own certificate.
        let notAfter: Date
        /// Of the rules it was judged by, see ``LinkService/judgeAgain()``.
        let generation: UInt64
    }

    private let generation: UInt64

    private let outcome = Mutex<Result<Peer, TrustError>?>(nil)

    init(generation: UInt64 = 0) { self.generation = generation }

    /// Nil until the peer's certificates have been judged; for ever in a resumed session.
    var result: Result<Peer, TrustError>? { outcome.withLock { $0 } }

    func judge(
        _ certificates: [NIOSSLCertificate], with verifier: PeerVerifier, now: Date
    ) throws -> NIOSSLVerificationResultWithMetadata {
        // A certificate that the TLS library holds always serialises.
        let presented = try certificates.map { try $0.toDERBytes() }
        do throws(TrustError) {
            let (identity, chain) = try verifier.verify(presented: presented, now: now)
            let notAfter = try PeerVerifier.notAfter(of: presented[0])
            outcome.withLock {
                $0 = .success(
                    Peer(
                        identity: identity, presented: presented, verifiedAt: now,
                        notAfter: notAfter, generation: generation))
            }
            let validated = chain.compactMap { try? NIOSSLCertificate(bytes: $0, format: .der) }
            guard validated.count == chain.count else { return .failed }
            return .certificateVerified(VerificationMetadata(ValidatedCertificateChain(validated)))
        } catch {
            outcome.withLock { $0 = .failure(error) }
            return .failed
        }
    }
}
