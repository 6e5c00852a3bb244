// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import MeshModel
import SwiftASN1
import X509

/// The etcd of a cluster: one member on the cluster's last node, over mutual TLS with an authority of
/// its own, as a platform team would hand it out.
struct LabEtcd {
    static let port = 2379
    private static let peerPort = 2380
    private static let lifetime = 30.0 * 86400

    let plan: LabPlan
    let cluster: LabPlan.Cluster

    private var address: String { cluster.nodes.last?.underlay ?? "" }
    private var folder: String { "\(plan.stateFolder)/etcd/\(cluster.name)" }

    /// Lines of an agent's configuration.
    var configuration: String {
        let candidates = cluster.publishers.map { quote($0.name) }.joined(separator: ", ")
        return """
            publisher: {candidates: [\(candidates)], lease: etcd}
            etcd:
              endpoints: [\(quote("\(address):\(Self.port)"))]
              bundle: \(quote("\(folder)/authority.pem"))
              certificate: \(quote("\(folder)/agent.pem"))
              key: \(quote("\(folder)/agent.key"))
            store: etcd
            """
    }

    /// The server, to be run on the cluster's last node.
    var command: [String] {
        let client = "https://\(address):\(Self.port)"
        let peer = "http://127.0.0.1:\(Self.peerPort)"
        return [
            "etcd", "--name", cluster.name, "--data-dir", "\(folder)/data",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--client-cert-auth", "--trusted-ca-file", "\(folder)/authority.pem",
            "--cert-file", "\(folder)/server.pem", "--key-file", "\(folder)/server.key",
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", "\(cluster.name)=\(peer)", "--logger", "zap", "--log-level",
            "warn",
        ]
    }

    /// Makes the folder, the authority, and the certificates of server and agents. The authority's
    /// key is forgotten.
    func issue() throws {
        try LabFolder.make(folder, mode: 0o700)
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let name = try DistinguishedName { CommonName("etcd of \(cluster.name)") }
        let authority = try certificate(name, key.publicKey, by: name, key) {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
            Critical(KeyUsage(keyCertSign: true))
        }
        try LabFolder.write(try authority.serializeAsPEM().pemString, to: "\(folder)/authority.pem")
        for (role, usage) in [
            ("server", ExtendedKeyUsage.Usage.serverAuth), ("agent", .clientAuth),
        ] {
            let own = Certificate.PrivateKey(P256.Signing.PrivateKey())
            let subject = try DistinguishedName { CommonName(role) }
            let certificate = try certificate(subject, own.publicKey, by: name, key) {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([usage])
                SubjectAlternativeNames([.ipAddress(ASN1OctetString(contentBytes: octets[...]))])
            }
            try LabFolder.write(
                try certificate.serializeAsPEM().pemString, to: "\(folder)/\(role).pem")
            try LabFolder.write(
                try own.serializeAsPEM().pemString, to: "\(folder)/\(role).key", mode: 0o600)
        }
    }

    private var octets: [UInt8] { address.split(separator: ".").compactMap { UInt8($0) } }

    private func certificate(
        _ subject: DistinguishedName, _ key: Certificate.PublicKey,
        by issuer: DistinguishedName, _ issuerKey: Certificate.PrivateKey,
        @ExtensionsBuilder _ extensions: () throws -> Result<Certificate.Extensions, any Error>
    ) throws -> Certificate {
        let now = Date()
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key,
            notValidBefore: now - 300, notValidAfter: now + Self.lifetime, issuer: issuer,
            subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions(builder: extensions),
            issuerPrivateKey: issuerKey)
    }
}
