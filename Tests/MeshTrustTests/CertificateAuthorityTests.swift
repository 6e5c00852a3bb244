// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("A cluster's authority")
struct CertificateAuthorityTests {
    let folder: TemporaryDirectory
    let authority: CertificateAuthority

    init() throws {
        folder = try TemporaryDirectory()
        authority = try CertificateAuthority.create(
            cluster: east, mesh: mesh, in: "\(folder.path)/ca")
    }

    @Test("issues certificates that OpenSSL accepts with -x509_strict, for both ends of TLS")
    func openSSL() throws {
        let node = try NodeCredentials.issue(node: "node-1.rack", by: authority)
        let root = try folder.write(authority.bundle.pem(), to: "root.pem")
        let leaf = try folder.write(pemText(node.chain), to: "node.pem")
        for purpose in ["sslserver", "sslclient"] {
            let (code, output) = try run([
                "openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", root, leaf,
            ])
            #expect(code == 0, "\(output)")
        }
        let (_, text) = try run(["openssl", "x509", "-in", leaf, "-noout", "-text"])
        #expect(text.contains("URI:spiffe://east.weft.test/node/node-1.rack"))
        #expect(text.contains("X509v3 Subject Alternative Name: critical"))
        let (_, rootText) = try run(["openssl", "x509", "-in", root, "-noout", "-text"])
        #expect(rootText.contains("Permitted:\n                  DNS:east.weft.test"))
        #expect(rootText.contains("URI:east.weft.test"))
        #expect(rootText.contains("CA:TRUE, pathlen:1"))
    }

    @Test("is bound to its own trust domain in OpenSSL's eyes too")
    func nameConstraints() throws {
        let forge = try Forge(east, now: Date())
        var template = Forge.Template("spiffe://west.weft.test/node/a")
        template.notBefore = Date() - 60
        template.notAfter = Date() + 60
        let root = try folder.write(forge.bundle.pem(), to: "root.pem")
        let leaf = try folder.write(pemText([forge.sign(template)]), to: "leaf.pem")
        let (code, output) = try run(["openssl", "verify", "-CAfile", root, leaf])
        #expect(code != 0 && output.contains("permitted subtree violation"), "\(output)")
    }

    @Test("keeps its key in a 0600 file in a 0700 directory and is the same after loading")
    func storage() throws {
        let file = "\(folder.path)/ca/\(CertificateAuthority.fileName)"
        #expect(try TemporaryDirectory.mode(of: file) == 0o600)
        #expect(try TemporaryDirectory.mode(of: "\(folder.path)/ca") == 0o700)
        let entries = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/ca")
        #expect(entries == [CertificateAuthority.fileName])
        let loaded = try CertificateAuthority.load(
            cluster: east, mesh: mesh, from: "\(folder.path)/ca")
        #expect(loaded.bundle == authority.bundle)
        let node = try NodeCredentials.issue(node: "a", by: loaded)
        #expect(
            authority.chain[0].publicKey.isValidSignature(
                node.chain[0].signature, for: node.chain[0]))
    }

    @Test("is never overwritten, and never taken for another cluster's")
    func identity() throws {
        let directory = "\(folder.path)/ca"
        #expect(throws: TrustError.alreadyExists(path: "\(directory)/authority.pem")) {
            try CertificateAuthority.create(cluster: east, mesh: mesh, in: directory)
        }
        #expect(throws: TrustError.self) {
            try CertificateAuthority.load(cluster: west, mesh: mesh, from: directory)
        }
    }

    @Test("refuses a key that others can reach, and says which chmod to run")
    func exposure() throws {
        let directory = "\(folder.path)/ca"
        let file = "\(directory)/authority.pem"
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

    @Test("backdates by a minute and never outlives itself")
    func lifetimes() throws {
        let root = authority.chain[0]
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey()).publicKey
        let early = try authority.issueNodeCertificate(node: "a", publicKey: key, now: Date())[0]
        #expect(early.notValidAfter.timeIntervalSince(early.notValidBefore) <= 86_400 + 61)
        #expect(early.notValidBefore >= root.notValidBefore)
        let late = try authority.issueNodeCertificate(
            node: "a", publicKey: key, now: root.notValidAfter - 100)[0]
        #expect(late.notValidAfter == root.notValidAfter)
        for outside in [root.notValidBefore - 1, root.notValidAfter + 1] {
            let error = #expect(throws: TrustError.self) {
                try authority.issueNodeCertificate(node: "a", publicKey: key, now: outside)
            }
            #expect("\(error!)".contains("correct the clock"))
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
        let request = try CertificateSigningRequest(
            version: .v1, subject: subject, privateKey: key, attributes: .init())
        let issued = try authority.issueNodeCertificate(node: "a", request: request)[0]
        #expect(issued.subject.isEmpty)
        #expect(CertificateNames(issued).uris == ["spiffe://east.weft.test/node/a"])
        let other = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let stolen = try CertificateSigningRequest(
            version: .v1, subject: subject, publicKey: other.publicKey, attributes: .init(),
            signatureAlgorithm: .ecdsaWithSHA256, signature: request.signature)
        #expect(throws: TrustError.invalidRequest("its signature doesn't match its key")) {
            try authority.issueNodeCertificate(node: "a", request: stolen)
        }
    }

    @Test("refuses names that no identity can hold", arguments: ["", "a/b", "A", "a..b", "ä"])
    func invalidNodes(name: String) {
        #expect(throws: TrustError.invalidNode(name)) {
            try NodeCredentials.issue(node: name, by: authority)
        }
    }

    @Test("a statement's signature verifies with the bundle's keys, and with OpenSSL")
    func statements() throws {
        let statement = Array("who may write".utf8)
        let raw = try authority.signature(for: statement)
        #expect(raw.count == 64)
        let signature = try P256.Signing.ECDSASignature(rawRepresentation: raw)
        let key = try #require(authority.bundle.signingKeys.first)
        #expect(key.isValidSignature(signature, for: statement))
        #expect(!key.isValidSignature(signature, for: statement + [0]))
        for (name, data) in [
            ("text", Data(statement)), ("signature", signature.derRepresentation),
            ("key.pem", Data(key.pemRepresentation.utf8)),
        ] {
            try data.write(to: URL(filePath: "\(folder.path)/\(name)"))
        }
        let (code, output) = try run([
            "openssl", "dgst", "-sha256", "-verify", "\(folder.path)/key.pem", "-signature",
            "\(folder.path)/signature", "\(folder.path)/text",
        ])
        #expect(code == 0, "\(output)")
    }
}

@Suite("Keys on disk")
struct KeyFileTests {
    @Test("node credentials are replaced in one step and read back whole, without showing the key")
    func credentials() throws {
        let folder = try TemporaryDirectory()
        let authority = try CertificateAuthority.create(
            cluster: east, mesh: mesh, in: "\(folder.path)/ca")
        let directory = "\(folder.path)/node"
        try NodeCredentials.issue(node: "old", by: authority).save(in: directory)
        let renewed = try NodeCredentials.issue(node: "new", by: authority)
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
