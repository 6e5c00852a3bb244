// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import X509

@testable import MeshTrust

/// Made by `openssl req -x509` on P-256; the coordinates by `openssl pkey -pubin -outform DER | tail
/// -c 64`, in base64url by `basenc`.
private let certificate =
    "MIIBmTCCAT+gAwIBAgIUbqan32ndl8uxpLtDgVphaRNGaBowCgYIKoZIzj0EAwIwFjEUMBIGA1UE"
    + "AwwLd2VmdCB2ZWN0b3IwIBcNMjYxMTIzMDAwOTAxWhgPMjA4MTA4MjYwMDA5MDFaMBYxFDASBgNV"
    + "BAMMC3dlZnQgdmVjdG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErO/fhAby/emoHqeJmcoG"
    + "/Ig1T5PQGD4OMiW2OwYzHZyp+CGGAVZ/qzWGL6f5Bqhn5NpmIXwjwCEG+ryGGufdVaNpMGcwEgYD"
    + "VR0TAQH/BAgwBgEB/wIBATAOBgNVHQ8BAf8EBAMCAQYwIgYDVR0RBBswGYYXc3BpZmZlOi8vZWFz"
    + "dC53ZWZ0LnRlc3QwHQYDVR0OBBYEFFS21E/jteWUsLLW+E2Y0QziG6ffMAoGCCqGSM49BAMCA0gA"
    + "MEUCIHhS4syUC6lrtx17lDJTHwYUKO7ZiB/qyVe0Wov1OyVCAiEAg7AUVgvH8saRIkBOSCHnRszL"
    + "Zv46ZpG4Aoh+3QYn+QM="
private let x = "rO_fhAby_emoHqeJmcoG_Ig1T5PQGD4OMiW2OwYzHZw"
private let y = "qfghhgFWf6s1hi-n-QaoZ-TaZiF8I8AhBvq8hhrn3VU"
private let entry =
    #"{"crv":"P-256","kty":"EC","use":"x509-svid","x":"\#(x)","x5c":["\#(certificate)"],"y":"\#(y)"}"#

private func document(_ keys: String, rest: String = #""spiffe_sequence":7"#) -> [UInt8] {
    Array(#"{"keys":[\#(keys)],\#(rest)}"#.utf8)
}

@Suite("SPIFFE bundles")
struct BundleDocumentTests {
    @Test("a document is written as the format has it, with openssl's coordinates")
    func vector() throws {
        let root = try Certificate(derEncoded: Array(Data(base64Encoded: certificate)!))
        let json = try BundleDocument(sequence: 7, roots: [root]).json()
        let expected = document(
            entry, rest: #""spiffe_refresh_hint":300,"spiffe_sequence":7"#)
        #expect(String(decoding: json, as: UTF8.self) == String(decoding: expected, as: UTF8.self))
        let read = try BundleDocument(json: json)
        #expect(read.roots == [root])
        #expect(read.sequence == 7)
        #expect(read.refreshHintSeconds == 300)
        let domain = try TrustDomain(cluster: east, mesh: mesh)
        #expect(try read.bundle(of: domain)?.anchors == [root])
        #expect(
            hexadecimal(try DenySubject.digest(of: root.publicKey))
                == "20b39f5cccc4f4ffe97521980aae337d2f140124b559f08097cccc9fb8f7ea5c")
    }

    @Test("keys on larger curves have longer coordinates")
    func curves() throws {
        let domain = try TrustDomain(cluster: east, mesh: mesh)
        for key in [
            Certificate.PrivateKey(P384.Signing.PrivateKey()),
            Certificate.PrivateKey(P521.Signing.PrivateKey()),
        ] {
            let name = try DistinguishedName { CommonName("root") }
            let root = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: key.publicKey,
                notValidBefore: noon, notValidAfter: noon + 60, issuer: name, subject: name,
                signatureAlgorithm: .ecdsaWithSHA384,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 1))
                    Critical(KeyUsage(keyCertSign: true))
                    SubjectAlternativeNames([
                        .uniformResourceIdentifier(SPIFFEID(authorityOf: domain).uri)
                    ])
                },
                issuerPrivateKey: key)
            let document = BundleDocument(sequence: 1, roots: [root])
            #expect(try BundleDocument(json: document.json()) == document)
        }
    }

    @Test(
        "what a consumer must ignore is ignored",
        arguments: [
            (#"{"kty":"XY","use":"x509-svid","x5c":["\#(certificate)"]}"#, 0),
            (#"{"kty":"EC","use":"jwt-svid","kid":"a","x5c":["\#(certificate)"]}"#, 0),
            (#"{"kty":"EC","x5c":["\#(certificate)"]}"#, 0),
            (#"{"kty":17,"use":"x509-svid","x5c":{}}"#, 0),
            (#"{"kty":"RSA","use":"x509-svid","x5c":17}"#, 0),
            (#"{"kty":"EC","use":"x509-svid","x":"\#(x)","y":"\#(y)"}"#, 0),
            (#"{"kty":"EC","use":"x509-svid","x5c":[]}"#, 0),
            // Only the first value counts, and a key may go without coordinates.
            (#"{"kty":"EC","use":"x509-svid","x5c":["\#(certificate)","nonsense"]}"#, 1),
            // A producer must not set it; who reads isn't harmed.
            (entry.replacing("\"kty\"", with: #""kid":"a","kty""#), 1),
            // The same root twice is one.
            ("\(entry),\(entry)", 1),
            ("", 0),
        ])
    func ignored(_ keys: String, roots: Int) throws {
        #expect(try BundleDocument(json: document(keys)).roots.count == roots)
    }

    @Test(
        "an unusable document is refused whole",
        arguments: [
            Array("".utf8), Array("[]".utf8), Array("{}".utf8), Array(#"{"keys":7}"#.utf8),
            document(entry, rest: #""spiffe_refresh_hint":300"#),
            document(entry, rest: #""spiffe_sequence":-1"#),
            document(entry, rest: #""spiffe_sequence":9223372036854775808"#),
            document(entry, rest: #""spiffe_sequence":7,"spiffe_refresh_hint":-5"#),
            document("7"),
            document(#"{"kty":"EC","use":"x509-svid","x5c":["nonsense"]}"#),
            document(#"{"kty":"EC","use":"x509-svid","x5c":"\#(certificate)"}"#),
            // A certificate beside another's coordinates: which of them would count?
            document(entry.replacing(x, with: y)),
            document(entry.replacing("P-256", with: "P-384")),
            // base64url where base64 is asked for.
            document(entry.replacing("+", with: "-")),
            document(entry) + [UInt8](repeating: 0x20, count: BundleDocument.bytesMaximum),
            Array(repeating: UInt8(ascii: "["), count: 60_000),
        ])
    func malformed(_ json: [UInt8]) {
        #expect(
            refused { () throws(StatementRefusal) in _ = try BundleDocument(json: json) }
                == "malformed")
    }

    @Test("a bundle with more than eight roots is refused")
    func tooMany() throws {
        let roots = try (0..<9).map { _ in try Issuer(east).root }
        let json = try BundleDocument(sequence: 1, roots: roots).json()
        #expect(
            refused { () throws(StatementRefusal) in _ = try BundleDocument(json: json) }
                == "malformed")
        let eight = try BundleDocument(sequence: 1, roots: Array(roots.dropLast())).json()
        #expect(try BundleDocument(json: eight).roots.count == 8)
    }

    @Test("another domain's root, a node or an intermediate's leaf is no root of a bundle")
    func foreignRoots() throws {
        let (a, b) = (try Issuer(east), try Issuer(west))
        for certificate in [b.root, a.leaf] {
            let document = BundleDocument(sequence: 1, roots: [a.root, certificate])
            #expect(
                refused { () throws(StatementRefusal) in _ = try document.bundle(of: a.domain) }
                    == "malformed")
        }
    }

    @Test("a sequence keeps its 64 bits")
    func largeSequence() throws {
        let document = BundleDocument(sequence: BundleDocument.sequenceMaximum, roots: [])
        #expect(try BundleDocument(json: document.json()).sequence == 9_223_372_036_854_775_807)
    }

    @Test("mutated documents are read or refused, never worse", arguments: 1...4)
    func mutations(seed: UInt64) throws {
        var dice = SplitMix64(seed: seed)
        let original = document(entry)
        for _ in 0..<300 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &dice) {
                let position = Int.random(in: 0..<bytes.count, using: &dice)
                switch Int.random(in: 0..<3, using: &dice) {
                case 0: bytes[position] = UInt8.random(in: 0 ... .max, using: &dice)
                case 1: bytes.remove(at: position)
                default: bytes.insert(bytes[position], at: position)
                }
            }
            _ = refused { () throws(StatementRefusal) in
                let read = try BundleDocument(json: bytes)
                _ = try read.bundle(of: Issuer.eastDomain)
            }
        }
    }
}

extension Issuer {
    static let eastDomain = try! TrustDomain(cluster: east, mesh: mesh)
}
