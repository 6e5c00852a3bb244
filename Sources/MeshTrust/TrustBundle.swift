// SPDX-License-Identifier: Apache-2.0

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
            certificates = try PEMDocument.parseMultiple(pemString: pem).map { document in
                guard document.discriminator == Certificate.defaultPEMDiscriminator
                else { throw TrustError.noCertificate }
                return try CertificateReader.certificate(document.derBytes)
            }
        } catch {
            throw invalid("not PEM certificates of the mesh")
        }
        guard (1...Self.anchorsMaximum).contains(certificates.count)
        else {
            throw invalid(
                "\(certificates.count) certificates instead of 1...\(Self.anchorsMaximum)")
        }
        for certificate in certificates {
            let names = CertificateNames(certificate)
            guard names.spiffeID == SPIFFEID(authorityOf: trustDomain)
            else { throw invalid("it holds a certificate of \(names.label)") }
            if let reason = SVIDPolicy.unsuitabilityAsAuthority(
                try CertificateFacts(certificate), of: trustDomain)
            {
                throw invalid("its certificate \(reason)")
            }
        }
        self.init(trustDomain: trustDomain, uncheckedAnchors: certificates[...])
    }

    /// - Throws: as ``init(trustDomain:pem:)``.
    public init(trustDomain: TrustDomain, anchors: [Certificate]) throws(TrustError) {
        try self.init(trustDomain: trustDomain, pem: pemText(anchors))
    }

    init(trustDomain: TrustDomain, uncheckedAnchors: ArraySlice<Certificate>) {
        self.trustDomain = trustDomain
        anchors = Array(uncheckedAnchors)
    }

    public func pem() throws(TrustError) -> String { try pemText(anchors) }

    /// The certificates of ``anchors`` in DER.
    public func anchorsDER() throws(TrustError) -> [[UInt8]] {
        var all: [[UInt8]] = []
        for anchor in anchors { all.append(try anchor.der()) }
        return all
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
