// SPDX-License-Identifier: Apache-2.0

public import Crypto
import SwiftASN1
public import X509

/// The anchors of one trust domain. Bundles of different domains are never pooled: a cluster's CA
/// must not be able to mint another's identity.
public struct TrustBundle: Hashable, Sendable {
    public static let anchorsMaximum = 8
    public static let bytesMaximum = 128 * 1024

    public let trustDomain: TrustDomain
    /// 1...8; several during a rotation.
    public let anchors: [Certificate]

    /// Reads one or more CA certificates in PEM.
    ///
    /// - Throws: ``TrustError/invalidBundle(domain:reason:)``: keep using the previous bundle.
    public init(trustDomain: TrustDomain, pem: String) throws(TrustError) {
        func invalid(_ reason: String) -> TrustError {
            .invalidBundle(domain: trustDomain.name, reason: reason)
        }
        guard pem.utf8.count <= Self.bytesMaximum
        else { throw invalid("more than \(Self.bytesMaximum) bytes") }
        let certificates: [Certificate]
        do {
            certificates = try PEMDocument.parseMultiple(pemString: pem).map {
                try Certificate(pemDocument: $0)
            }
        } catch {
            throw invalid("not PEM certificates")
        }
        guard (1...Self.anchorsMaximum).contains(certificates.count)
        else {
            throw invalid(
                "\(certificates.count) certificates instead of 1...\(Self.anchorsMaximum)")
        }
        for certificate in certificates {
            let names = CertificateNames(certificate)
            guard names.uris == [SPIFFEID(authorityOf: trustDomain).uri]
            else { throw invalid("it holds a certificate of \(names.label)") }
            if let reason = SVIDPolicy.unsuitabilityAsAuthority(certificate) {
                throw invalid("its certificate \(reason)")
            }
        }
        self.init(trustDomain: trustDomain, uncheckedAnchors: certificates[...])
    }

    init(trustDomain: TrustDomain, uncheckedAnchors: ArraySlice<Certificate>) {
        self.trustDomain = trustDomain
        anchors = Array(uncheckedAnchors)
    }

    public func pem() throws(TrustError) -> String { try pemText(anchors) }

    /// Keys whose signatures under statements of the authority count, see
    /// ``CertificateAuthority/signature(for:)``; anchors with keys of other kinds have none.
    public var signingKeys: [P256.Signing.PublicKey] {
        anchors.compactMap { P256.Signing.PublicKey($0.publicKey) }
    }
}

/// Every bundle this node knows: its own cluster's and its peers'.
public struct TrustStore: Hashable, Sendable {
    private var bundles: [String: TrustBundle] = [:]

    /// - Parameter bundles: of two for one domain the later counts.
    public init(_ bundles: [TrustBundle]) {
        for bundle in bundles { self.bundles[bundle.trustDomain.name] = bundle }
    }

    /// Nil for a foreign trust domain.
    public subscript(domain: String) -> TrustBundle? { bundles[domain] }

    public var trustDomains: [TrustDomain] { bundles.values.map(\.trustDomain).sorted() }
}
