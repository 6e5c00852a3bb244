// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import TrustForgery
import X509

@testable import MeshTrust

@Suite("A cluster's authority")
struct CertificateAuthorityTests {
    let cluster: Cluster
    var authority: CertificateAuthority { cluster.authority }
    var folder: TemporaryDirectory { cluster.folder }

    init() throws { cluster = try Cluster() }

    @Test("OpenSSL accepts every certificate strictly, for both ends of TLS, and partial chains")
    func openSSL() throws {
        let node = try NodeCredentials.issue(node: "node-1.rack", by: authority)
        let root = authority.chain[1]
        #expect(node.chain == [node.chain[0], authority.chain[0]])
        for options in [["-purpose", "sslserver"], ["-purpose", "sslclient"]] {
            let (code, output) = try openSSLVerify(
                node.chain, root: root, in: folder, options[0], options[1])
            #expect(code == 0, "\(output)")
        }
        for chain in [[authority.chain[0]], [root]] {
            let (code, output) = try openSSLVerify(chain, root: root, in: folder)
            #expect(code == 0, "\(output)")
        }
        let (code, output) = try openSSLVerify(
            [node.chain[0]], root: authority.chain[0], in: folder, "-partial_chain")
        #expect(code == 0, "\(output)")
    }

    @Test("the certificates say what the profile says")
    func profile() throws {
        let node = try NodeCredentials.issue(node: "n1", by: authority)
        let key = "X509v3 Subject Key Identifier"
        for (certificate, lines) in [
            (
                node.chain[0],
                [
                    "X509v3 Subject Alternative Name: critical", "Subject: \n", key,
                    "URI:spiffe://east.weft.test/node/n1", "CA:FALSE", "X509v3 Authority Key",
                    "TLS Web Server Authentication, TLS Web Client Authentication",
                    "X509v3 Key Usage: critical\n                Digital Signature\n",
                ]
            ),
            (
                authority.chain[0],
                [
                    "CA:TRUE, pathlen:0", "URI:spiffe://east.weft.test", key,
                    "X509v3 Name Constraints: critical", "X509v3 Authority Key",
                    "Permitted:\n                  DNS:east.weft.test",
                    "                  URI:east.weft.test",
                    "Digital Signature, Certificate Sign, CRL Sign",
                ]
            ),
            (
                authority.chain[1],
                [
                    "CA:TRUE, pathlen:1", "X509v3 Name Constraints: critical",
                    "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n",
                    "Public-Key: (256 bit)",
                ]
            ),
        ] {
            let file = try folder.write(pemText([certificate]), to: "shown.pem")
            let (_, text) = try run(["openssl", "x509", "-in", file, "-noout", "-text"])
            for line in lines { #expect(text.contains(line), "\(line) isn't in \(text)") }
        }
    }

    @Test("is bound to its own trust domain in OpenSSL's eyes too, unless told not to be")
    func nameConstraints() throws {
        for areNamesConstrained in [true, false] {
            var random = SplitMix64(seed: 4)
            var forge = try ForgedChain(
                east, mesh: mesh, now: noon, areNamesConstrained: areNamesConstrained,
                using: &random)
            try forge.leaf.setNames([.uniformResourceIdentifier("spiffe://west.weft.test/node/a")])
            let chain = try forge.presented().prefix(2).map { try Certificate(derEncoded: $0) }
            let (code, output) = try openSSLVerify(
                chain, root: Certificate(derEncoded: forge.rootBytes), in: folder, "-attime",
                "\(Int(noon.timeIntervalSince1970))")
            #expect((code != 0) == areNamesConstrained, "\(output)")
            #expect(output.contains("permitted subtree violation") == areNamesConstrained)
        }
        let free = try Cluster(areNamesConstrained: false)
        for certificate in free.authority.chain {
            #expect(try certificate.extensions.nameConstraints == nil)
        }
        let renewed = try free.authority.renewed()
        #expect(try renewed.chain[0].extensions.nameConstraints == nil)
    }

    @Test("each key has its own 0600 file in a 0700 directory; after loading all is the same")
    func storage() throws {
        #expect(try TemporaryDirectory.mode(of: cluster.directory) == 0o700)
        let entries = try FileManager.default.contentsOfDirectory(atPath: cluster.directory)
        #expect(Set(entries) == ["root.pem", "intermediate.pem", "clock"])
        for entry in entries {
            #expect(try TemporaryDirectory.mode(of: "\(cluster.directory)/\(entry)") == 0o600)
        }
        #expect(
            try keyOnDisk("root.pem", in: cluster.directory).rawRepresentation
                != keyOnDisk("intermediate.pem", in: cluster.directory).rawRepresentation)
        let loaded = try CertificateAuthority.load(
            cluster: east, mesh: mesh, from: cluster.directory)
        #expect(loaded.bundle == authority.bundle && loaded.chain == authority.chain)
        let node = try NodeCredentials.issue(node: "a", by: loaded)
        #expect(
            refusal(of: try node.chainDER(), by: TrustStore([authority.bundle]), now: Date()) == nil
        )
    }

    @Test("is never overwritten, and never taken for another cluster's")
    func identity() throws {
        let file = "\(cluster.directory)/intermediate.pem"
        #expect(throws: TrustError.alreadyExists(path: file)) {
            try CertificateAuthority.create(cluster: east, mesh: mesh, in: cluster.directory)
        }
        #expect(throws: TrustError.self) {
            try CertificateAuthority.load(cluster: west, mesh: mesh, from: cluster.directory)
        }
        // A root without an intermediate is what an interrupted call leaves: the next completes it.
        try FileManager.default.removeItem(atPath: file)
        #expect(throws: TrustError.self) {
            try CertificateAuthority.create(cluster: west, mesh: mesh, in: cluster.directory)
        }
        let again = try CertificateAuthority.create(
            cluster: east, mesh: mesh, in: cluster.directory)
        #expect(again.bundle == authority.bundle)
    }

    @Test("refuses a key that others can reach, and says which chmod to run")
    func exposure() throws {
        let directory = cluster.directory
        let file = "\(directory)/intermediate.pem"
        for (path, mode, required) in [(file, 0o640, "0600"), (directory, 0o755, "0700")] {
            let before = try TemporaryDirectory.mode(of: path)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            let error = #expect(throws: TrustError.self) {
                try CertificateAuthority.load(cluster: east, mesh: mesh, from: directory)
            }
            #expect("\(error!)".contains("chmod \(required) \(path)"))
            try FileManager.default.setAttributes([.posixPermissions: before], ofItemAtPath: path)
        }
    }

    @Test("gives every certificate its own 128-bit serial")
    func serials() throws {
        let serials = try (0..<20).map { _ in
            try NodeCredentials.issue(node: "a", by: authority).chain[0].serialNumber
        }
        #expect(Set(serials).count == 20)
        #expect(serials.allSatisfy { (12...17).contains($0.bytes.count) })
    }

    @Test("takes from a request nothing but its proven key")
    func requests() throws {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let subject = try DistinguishedName { CommonName("spiffe://west.weft.test/node/b") }
        let wishes = try ExtensionRequest(
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
            })
        let request = try CertificateSigningRequest(
            version: .v1, subject: subject, privateKey: key,
            attributes: .init([.init(wishes)]))
        let issued = try authority.issueNodeCertificate(
            node: "a", request: NodeRequest(der: DER.bytes(request)))[0]
        #expect(issued.subject.isEmpty)
        #expect(try issued.extensions.basicConstraints == .notCertificateAuthority)
        #expect(CertificateNames(issued).uris == ["spiffe://east.weft.test/node/a"])
        #expect(issued.publicKey == key.publicKey)
        let other = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let stolen = try CertificateSigningRequest(
            version: .v1, subject: subject, publicKey: other.publicKey, attributes: .init(),
            signatureAlgorithm: .ecdsaWithSHA256, signature: request.signature)
        #expect(throws: TrustError.invalidRequest("its signature doesn't match its key")) {
            try NodeRequest(der: DER.bytes(stolen))
        }
    }

    @Test("certifies P-256, P-384 and Ed25519 and reads no request with another key, or too long")
    func requestKeys() throws {
        func request(_ key: Certificate.PrivateKey) throws -> [UInt8] {
            try DER.bytes(
                CertificateSigningRequest(
                    version: .v1, subject: DistinguishedName(), privateKey: key,
                    attributes: .init()))
        }
        for key in [
            Certificate.PrivateKey(P256.Signing.PrivateKey()),
            Certificate.PrivateKey(P384.Signing.PrivateKey()),
            Certificate.PrivateKey(Curve25519.Signing.PrivateKey()),
        ] {
            let chain = try authority.issueNodeCertificate(
                node: "a", request: NodeRequest(der: request(key)))
            let (code, output) = try openSSLVerify(
                chain, root: authority.chain[1], in: folder)
            #expect(code == 0, "\(output)")
        }
        let good = try request(Certificate.PrivateKey(P256.Signing.PrivateKey()))
        for bad in [
            try request(Certificate.PrivateKey(P521.Signing.PrivateKey())), [], [0x30, 0x00],
            Array(good.dropLast()), [UInt8](repeating: 0x30, count: NodeRequest.bytesMaximum + 1),
        ] {
            let error = #expect(throws: TrustError.self) { try NodeRequest(der: bad) }
            #expect(error.map(kind) == "invalidRequest")
        }
        for position in good.indices {
            var bytes = good
            bytes[position] ^= 1
            #expect(throws: TrustError.self, "byte \(position)") { try NodeRequest(der: bytes) }
        }
    }

    @Test("refuses names that no identity can hold", arguments: ["", "a/b", "A", "a..b", "ä"])
    func invalidNodes(name: String) {
        #expect(throws: TrustError.invalidNode(name)) {
            try NodeCredentials.issue(node: name, by: authority)
        }
    }

    @Test("shows its keys in no description, dump or error")
    func secrecy() throws {
        var shown = ["\(authority)", String(reflecting: authority)]
        dump(authority, to: &shown[0])
        let key = NodeKey()
        let credentials = try key.credentials(
            chain: authority.issueNodeCertificate(
                node: "a", request: NodeRequest(der: key.request())), mesh: mesh)
        shown.append("\(credentials) \(String(reflecting: credentials)) \(key)")
        dump(credentials, to: &shown[0])
        dump(key, to: &shown[0])
        // A file that lost its certificates, and one whose key doesn't fit.
        let directory = "\(folder.path)/spoiled"
        let root = try SecretFile.read(named: "root.pem", in: cluster.directory)
        let intermediate = try SecretFile.read(named: "intermediate.pem", in: cluster.directory)
        let certificates = intermediate.range(of: "-----BEGIN CERT")!.lowerBound
        let rootKey = root[..<root.range(of: "-----BEGIN CERT")!.lowerBound]
        let spoiled: [String] = [
            String(intermediate[..<certificates]),
            String(rootKey + intermediate[certificates...]), root,
            String(intermediate.dropLast(40)),
        ]
        for text in spoiled {
            try SecretFile.write(
                text, named: "intermediate.pem", in: directory, existing: .replace)
            let error = #expect(throws: TrustError.self) {
                try CertificateAuthority.load(cluster: east, mesh: mesh, from: directory)
            }
            shown.append("\(error!) \(String(reflecting: error!))")
        }
        let secrets: [Data] = try [
            keyOnDisk("root.pem", in: cluster.directory),
            keyOnDisk("intermediate.pem", in: cluster.directory),
            P256.Signing.PrivateKey(pemRepresentation: credentials.privateKeyPEM()),
        ].map(\.rawRepresentation)
        for text in shown {
            #expect(!text.contains("PRIVATE KEY"))
            for secret in secrets {
                let hex = secret.map { String(format: "%02x", $0) }.joined()
                let decimal = secret.prefix(6).map { "\($0)" }.joined(separator: ", ")
                let forms: [String] = [hex, secret.base64EncodedString(), decimal]
                for form in forms {
                    #expect(!text.lowercased().contains(form.lowercased()))
                }
            }
        }
    }
}

@Suite("Keys on disk")
struct KeyFileTests {
    @Test("node credentials are replaced in one step and read back whole, without showing the key")
    func credentials() throws {
        let cluster = try Cluster()
        let directory = "\(cluster.folder.path)/node"
        try NodeCredentials.issue(node: "old", by: cluster.authority).save(in: directory)
        let renewed = try NodeCredentials.issue(node: "new", by: cluster.authority)
        try renewed.save(in: directory)
        let loaded = try NodeCredentials.load(mesh: mesh, from: directory)
        #expect(loaded.identity.node == "new")
        #expect(loaded.identity.cluster == east)
        #expect(loaded.chain == renewed.chain)
        #expect(try TemporaryDirectory.mode(of: "\(directory)/node.pem") == 0o600)
        #expect(!"\(loaded)".contains("KEY"))
        #expect(throws: TrustError.self) {
            try NodeCredentials.load(mesh: "other", from: directory)
        }
    }

    @Test("a certificate for another key makes no credentials")
    func otherKey() throws {
        let cluster = try Cluster()
        let chain = try cluster.authority.issueNodeCertificate(
            node: "a", request: NodeRequest(der: NodeKey().request()))
        let error = #expect(throws: TrustError.self) {
            try NodeKey().credentials(chain: chain, mesh: mesh)
        }
        #expect("\(error!)".contains("another key"))
    }

    @Test("a torn or foreign file is named, not quoted", arguments: ["", "no pem", "-----BEGIN"])
    func garbage(text: String) throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write(text, to: "node.pem")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        let error = #expect(throws: TrustError.self) {
            try NodeCredentials.load(mesh: mesh, from: folder.path)
        }
        #expect("\(error!)".contains(file))
    }
}
