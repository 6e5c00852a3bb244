// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import X509

@testable import MeshTrust

/// A cluster's root with an intermediate below it, and one node.
struct Issuer {
    let domain: TrustDomain
    let root: Certificate
    let rootKey: Certificate.PrivateKey
    let intermediate: Certificate
    let key: P256.Signing.PrivateKey
    let leaf: Certificate
    let leafKey: P256.Signing.PrivateKey

    init(_ cluster: ClusterName, node: String = "node-1") throws {
        domain = try TrustDomain(cluster: cluster, mesh: mesh)
        let (rootSigner, signer, leafSigner) = (
            P256.Signing.PrivateKey(), P256.Signing.PrivateKey(), P256.Signing.PrivateKey()
        )
        rootKey = Certificate.PrivateKey(rootSigner)
        key = signer
        leafKey = leafSigner
        root = try Self.certify(
            rootSigner.publicKey, uri: SPIFFEID(authorityOf: domain).uri, isCA: true,
            lifeSeconds: 86_400 * 3_650, by: nil, key: rootSigner)
        intermediate = try Self.certify(
            signer.publicKey, uri: SPIFFEID(authorityOf: domain).uri, isCA: true,
            lifeSeconds: 86_400 * 30, by: root, key: rootSigner)
        leaf = try Self.certify(
            leafSigner.publicKey, uri: SPIFFEID(node: node, in: domain).uri, isCA: false,
            lifeSeconds: 86_400, by: intermediate, key: signer)
    }

    var chain: [Certificate] { [leaf, intermediate, root] }
    var authorityChain: [Certificate] { [intermediate, root] }

    func store() throws -> TrustStore {
        TrustStore([try TrustBundle(trustDomain: domain, pem: pemText([root]))])
    }

    /// Signs with the intermediate, and sends it along.
    func sign(_ body: [UInt8]) throws -> [UInt8] {
        try seal(body, with: key, chain: [intermediate])
    }

    /// What a compromised node would try.
    func signAsNode(_ body: [UInt8]) throws -> [UInt8] {
        try seal(body, with: leafKey, chain: [leaf, intermediate])
    }

    private static func certify(
        _ publicKey: P256.Signing.PublicKey, uri: String, isCA: Bool, lifeSeconds: Double,
        by issuer: Certificate?, key: P256.Signing.PrivateKey
    ) throws -> Certificate {
        let publicKey = Certificate.PublicKey(publicKey)
        let name = try DistinguishedName { CommonName(isCA ? "authority" : "node") }
        let own = SubjectKeyIdentifier(hash: publicKey)
        // The library's own have 21 bytes now and then, which verifiers refuse.
        let serial = Certificate.SerialNumber(
            bytes: [1] + (0..<15).map { _ in UInt8.random(in: 0 ... .max) })
        let issuerIdentifier = try issuer?.extensions.subjectKeyIdentifier ?? own
        return try Certificate(
            version: .v3, serialNumber: serial, publicKey: publicKey, notValidBefore: noon - 60,
            notValidAfter: noon + lifeSeconds, issuer: issuer?.subject ?? name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(
                    isCA
                        ? BasicConstraints.isCertificateAuthority(
                            maxPathLength: issuer == nil ? 1 : 0)
                        : BasicConstraints.notCertificateAuthority)
                Critical(
                    isCA
                        ? KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true)
                        : KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                SubjectAlternativeNames([.uniformResourceIdentifier(uri)])
                own
                AuthorityKeyIdentifier(keyIdentifier: issuerIdentifier.keyIdentifier)
            },
            issuerPrivateKey: Certificate.PrivateKey(key))
    }
}

private func seal(
    _ body: [UInt8], with key: P256.Signing.PrivateKey, chain: [Certificate]
) throws -> [UInt8] {
    var writer = ByteWriter()
    writer.write(field: Array(try key.signature(for: body).rawRepresentation))
    writer.write(list: try chain.map { try $0.der() }) { $0.write(field: $1) }
    return writer.bytes
}

struct Unsigned: Error {}

struct Denied: Error {
    let reason: String
}

/// Stands in for the real verification: each certificate signed by the next, the last by an anchor.
func judge(
    _ body: [UInt8], _ signature: [UInt8], _ bundle: TrustBundle,
    _ denied: ([Certificate]) -> String?
) throws {
    var reader = ByteReader(signature)
    let raw = try reader.readField(max: 64, "signature")
    let ders = try reader.readList(max: 3, "chain") {
        (reader: inout ByteReader) throws(DecodingFault) in
        Array(try reader.readField(max: 4096, "certificate"))
    }
    let chain = try ders.map { try Certificate(derEncoded: $0) }
    guard let signer = chain.first, let key = P256.Signing.PublicKey(signer.publicKey),
        key.isValidSignature(try .init(rawRepresentation: raw), for: body)
    else { throw Unsigned() }
    for (child, parent) in zip(chain, chain.dropFirst())
    where !parent.publicKey.isValidSignature(child.signature, for: child) {
        throw Unsigned()
    }
    let top = chain[chain.count - 1]
    guard
        let anchor = bundle.anchors.first(where: {
            $0.publicKey.isValidSignature(top.signature, for: top)
        })
    else { throw Unsigned() }
    if let reason = denied(chain + [anchor]) { throw Denied(reason: reason) }
}

/// Why something was refused, without its details.
func refused(_ body: () throws(StatementRefusal) -> Void) -> String? {
    do throws(StatementRefusal) { try body() } catch {
        return Mirror(reflecting: error).children.first?.label
    }
    return nil
}
