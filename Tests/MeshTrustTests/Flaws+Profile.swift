// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import TrustForgery
import X509

extension Flaw {
    private static func usage(
        _ description: String, _ usage: KeyUsage, isCritical: Bool = true
    ) -> Flaw {
        .leaf(description, "unsuitable", "wrong key usage") {
            $0.set(try .init(usage, critical: isCritical))
        }
    }

    private static func purposes(
        _ description: String, _ purposes: [ExtendedKeyUsage.Usage]
    ) -> Flaw {
        .leaf(description, "unsuitable", "both TLS client and server") {
            $0.set(try .init(ExtendedKeyUsage(purposes), critical: false))
        }
    }

    static let usages: [Flaw] = [
        .leaf("no key usage", "unsuitable", "wrong key usage") {
            $0.remove(.X509ExtensionID.keyUsage)
        },
        usage("may sign certificates", KeyUsage(digitalSignature: true, keyCertSign: true)),
        usage("may sign revocations", KeyUsage(digitalSignature: true, cRLSign: true)),
        usage("may not sign", KeyUsage(keyAgreement: true)),
        usage(
            "a key usage that may be ignored", KeyUsage(digitalSignature: true), isCritical: false),
        purposes("only for servers", [.serverAuth]),
        purposes("only for clients", [.clientAuth]),
        purposes("for any purpose", [.any]),
        purposes("for code", [.codeSigning]),
        .leaf("for no purpose", "unsuitable", "both TLS client and server") {
            $0.remove(.X509ExtensionID.extendedKeyUsage)
        },
        .intermediate("an issuer without key usage", "untrusted", "may not sign certificates") {
            $0.remove(.X509ExtensionID.keyUsage)
        },
        .intermediate("an issuer that may not issue", "untrusted", "may not sign certificates") {
            $0.set(try .init(KeyUsage(digitalSignature: true, cRLSign: true), critical: true))
        },
        .intermediate("an issuer's usage to be ignored", "untrusted", "may not sign certificates") {
            $0.set(try .init(KeyUsage(keyCertSign: true), critical: false))
        },
        .intermediate("an issuer for code", "untrusted", "both TLS client and server") {
            $0.set(try .init(ExtendedKeyUsage([.codeSigning]), critical: false))
        },
        .leaf("a CA as node", "unsuitable", "no CA") {
            $0.set(
                try .init(BasicConstraints.isCertificateAuthority(maxPathLength: 0), critical: true)
            )
        },
        .leaf("silent about being a CA", "unsuitable", "no CA") {
            $0.remove(.X509ExtensionID.basicConstraints)
        },
        .intermediate("an issuer that is no CA", "untrusted", "an issuer is no CA") {
            $0.set(try .init(BasicConstraints.notCertificateAuthority, critical: true))
        },
        .intermediate("an issuer silent about being a CA", "untrusted", "an issuer is no CA") {
            $0.remove(.X509ExtensionID.basicConstraints)
        },
        .intermediate("a CA that may be overlooked", "untrusted", "an issuer is no CA") {
            $0.set(
                try .init(
                    BasicConstraints.isCertificateAuthority(maxPathLength: 0), critical: false))
        },
        .intermediate("an issuer without key identifier", "untrusted", "lacks a subject or") {
            $0.remove(.X509ExtensionID.subjectKeyIdentifier)
        },
    ]

    private static func twice(_ certificate: inout ForgedCertificate, _ index: Int) {
        certificate.extensions.append(certificate.extensions[index])
    }

    private static let unknown: ASN1ObjectIdentifier = [1, 3, 6, 1, 4, 1, 99_999, 7]

    static let shapes: [Flaw] = [
        .leaf("v1", "unsuitable", "isn't X.509 v3") { $0.version = nil },
        .leaf("v2", "unsuitable", "isn't X.509 v3") { $0.version = 1 },
        .leaf("v4", "malformedCertificate", "cannot be parsed") { $0.version = 3 },
        .intermediate("a v1 issuer", "untrusted", "an issuer isn't X.509 v3") { $0.version = nil },
        .intermediate("a v1 issuer without extensions", "untrusted", "isn't X.509 v3") {
            $0.version = nil
            $0.extensions = []
        },
        .leaf("no extensions", "unsuitable", "no CA") { $0.extensions = [] },
        Flaw("an extension twice", "malformedCertificate", "duplicate") { chain, random in
            twice(&chain.leaf, Int.random(in: 0..<chain.leaf.extensions.count, using: &random))
            return nil
        },
        Flaw("an issuer's extension twice", "malformedCertificate", "duplicate") { chain, random in
            let count = chain.intermediate.extensions.count
            twice(&chain.intermediate, Int.random(in: 0..<count, using: &random))
            return nil
        },
        .leaf("two lists of names", "malformedCertificate", "duplicate") {
            $0.extensions.append(
                try .init(
                    SubjectAlternativeNames([
                        .uniformResourceIdentifier("spiffe://west.weft.test/node/n1")
                    ]), critical: true))
        },
        .leaf("a critical extension nobody knows", "unsuitable", "critical extension") {
            $0.extensions.append(.init(oid: unknown, critical: true, value: [5, 0]))
        },
        .intermediate("an issuer's critical extension", "untrusted", "critical extension") {
            $0.extensions.append(.init(oid: unknown, critical: true, value: [5, 0]))
        },
        .leaf("a critical key identifier", "unsuitable", "critical extension") {
            $0.extensions.append(
                try .init(SubjectKeyIdentifier(keyIdentifier: [1, 2, 3]), critical: true))
        },
        .leaf("a key usage that doesn't decode", "unsuitable", "cannot be decoded") {
            $0.set(.init(oid: .X509ExtensionID.keyUsage, critical: true, value: [3, 1]))
        },
        .leaf("names that don't decode", "unsuitable", "cannot be decoded") {
            $0.set(
                .init(oid: .X509ExtensionID.subjectAlternativeName, critical: true, value: [4, 0]))
        },
        .intermediate("constraints that don't decode", "unsuitable", "cannot be decoded") {
            $0.set(.init(oid: .X509ExtensionID.nameConstraints, critical: true, value: [5, 0]))
        },
        .leaf("more extensions than are read", "malformedCertificate", "more than 16 extensions") {
            for number in 0..<16 as Range<UInt> {
                $0.extensions.append(
                    .init(oid: [1, 2, 3, number], critical: false, value: [5, 0]))
            }
        },
        .leaf("a longer subject than is read", "malformedCertificate", "longer than 1024 bytes") {
            $0.subject = try DistinguishedName {
                CommonName(String(repeating: "a", count: 1_100))
            }
        },
        .leaf("a larger certificate than is read", "certificateTooLarge", "at most 16384") {
            let padding = [UInt8](repeating: 0, count: 16_000)
            $0.extensions.append(
                .init(oid: unknown, critical: false, value: DER.wrap(4, padding)[...]))
        },
        .leaf("a serial number of zero", "malformedCertificate", "serial number") {
            $0.serial = [0]
        },
        .leaf("a negative serial number", "malformedCertificate", "serial number") {
            $0.serial = [0x80, 1]
        },
        .leaf("a serial number of 21 bytes", "malformedCertificate", "serial number") {
            $0.serial = Array(repeating: 1, count: 21)
        },
        .leaf("a unique identifier", "malformedCertificate", "unique identifiers") {
            $0.uniqueIdentifier = [1, 2, 3]
        },
        .leaf("another signature algorithm outside", "malformedCertificate", "algorithms differ") {
            $0.outerAlgorithm =
                $0.algorithm == ForgedCertificate.ecdsaWithSHA256
                ? ForgedCertificate.ecdsaWithSHA384 : ForgedCertificate.ecdsaWithSHA256
        },
        .leaf("an unusual signature algorithm", "unsuitable", "signature that is none of") {
            $0.algorithm = ForgedCertificate.ecdsaWithSHA512
        },
        .leaf("loose bits behind the signature", "malformedCertificate", "loose bits") {
            $0.looseBits = 1
        },
        .leaf("a P-521 key", "unsuitable", "key that is none of P-256") {
            $0.keyInfo = try DER.bytes(
                Certificate.PublicKey(P521.Signing.PrivateKey().publicKey))
        },
        .intermediate("an issuer's P-521 key", "unsuitable", "key that is none of P-256") {
            $0.keyInfo = try DER.bytes(
                Certificate.PublicKey(P521.Signing.PrivateKey().publicKey))
        },
        .leaf("an RSA key", "unsuitable", "key that is none of P-256") {
            $0.keyInfo = DER.wrap(
                0x30,
                DER.wrap(
                    0x30,
                    [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0])
                    + DER.wrap(3, [0] + [UInt8](repeating: 0xff, count: 2_000)))
        },
        .leaf("a key that is no point of its curve", "malformedCertificate", "cannot be parsed") {
            let point = [0x04] + [UInt8](repeating: 0x11, count: 64)
            let good = try DER.bytes(P256.Signing.PrivateKey().certificateKey)
            $0.keyInfo = Array(good.dropLast(65)) + point
        },
    ]

    static let paths: [Flaw] = [
        Flaw("a sibling's authority under the right names", "untrusted", "no path to") { chain, _ in
            let sibling = P256.Signing.PrivateKey()
            chain.intermediate.set(
                try .init(ForgedChain.issuerIdentifier(sibling), critical: false))
            return [
                try chain.leaf.signed(by: chain.intermediateKey),
                try chain.intermediate.signed(by: sibling),
            ]
        },
        Flaw("a sibling that pretends to be the root", "untrusted", "key didn't sign it") {
            chain, _ in
            [
                try chain.leaf.signed(by: chain.intermediateKey),
                try chain.intermediate.signed(by: P256.Signing.PrivateKey()),
            ]
        },
        Flaw("another cluster's whole chain with this one's node", "untrusted", "belongs to") {
            chain, random in
            let other = try ForgedChain(west, mesh: mesh, now: noon, using: &random)
            chain.leaf.issuer = other.intermediate.subject
            return [try chain.leaf.signed(by: other.intermediateKey)]
                + (try other.presented().dropFirst())
        },
        Flaw("a root of another cluster slipped in", "untrusted", "an issuer belongs to") {
            chain, random in
            let other = try ForgedChain(west, mesh: mesh, now: noon, using: &random)
            chain.sendsRoot = false
            return try chain.presented() + [other.rootBytes]
        },
        Flaw("a root of its own sent along", "untrusted", "don't belong to its path") {
            chain, random in
            let other = try ForgedChain(east, mesh: mesh, now: noon, using: &random)
            chain.sendsRoot = false
            return try chain.presented() + [other.rootBytes]
        },
        Flaw("a root of its own and nothing else", "untrusted", "key didn't sign it") { _, random in
            var other = try ForgedChain(east, mesh: mesh, now: noon, using: &random)
            other.sendsRoot = true
            return try other.presented()
        },
        Flaw("a signature of another certificate", "untrusted", "key didn't sign it") { chain, _ in
            chain.leaf.algorithm = ForgedCertificate.ecdsaWithSHA256
            chain.leaf.signature = Array(
                try chain.intermediateKey.signature(for: [1, 2, 3]).derRepresentation)
            return nil
        },
        Flaw("an issuer's signature of another", "untrusted", "key didn't sign it") { chain, _ in
            chain.intermediate.algorithm = ForgedCertificate.ecdsaWithSHA256
            chain.intermediate.signature = Array(
                try chain.rootKey.signature(for: [1, 2, 3]).derRepresentation)
            return nil
        },
        Flaw("signed by the root's key though issued below", "untrusted", "key didn't sign it") {
            chain, _ in
            [try chain.leaf.signed(by: chain.rootKey)] + (try chain.presented().dropFirst())
        },
        Flaw("no intermediate", "untrusted", "no path to") { chain, _ in
            [try chain.presented()[0]]
        },
        Flaw("the root where the intermediate should be", "untrusted", "isn't its issuer's") {
            chain, _ in
            [
                try chain.leaf.signed(by: chain.intermediateKey),
                chain.rootBytes,
            ]
        },
        Flaw("the wrong order", "untrusted", "isn't its issuer's") { chain, _ in
            [
                try chain.leaf.signed(by: chain.intermediateKey),
                chain.rootBytes,
                try chain.intermediate.signed(by: chain.rootKey),
            ]
        },
        Flaw("an issuer sent twice", "untrusted", "don't belong to its path") { chain, _ in
            chain.sendsRoot = false
            let presented = try chain.presented()
            return presented + [presented[1]]
        },
        .leaf("another issuer's key identifier", "untrusted", "isn't its issuer's") {
            $0.set(
                try .init(
                    ForgedChain.issuerIdentifier(P256.Signing.PrivateKey()), critical: false))
        },
        Flaw("the intermediate as node", "unsuitable", "no CA") { chain, _ in
            Array(try chain.presented().dropFirst())
        },
        Flaw("the root as node", "unsuitable", "no CA") { chain, _ in
            [chain.rootBytes]
        },
        Flaw("an authority below the intermediate", "untrusted", "longer than its 0") { chain, _ in
            let key = P256.Signing.PrivateKey()
            var between = chain.intermediate
            between.keyInfo = try DER.bytes(key.certificateKey)
            between.issuer = chain.intermediate.subject
            between.subject = try DistinguishedName { CommonName("below") }
            between.set(try .init(ForgedChain.keyIdentifier(key), critical: false))
            between.set(
                try .init(ForgedChain.issuerIdentifier(chain.intermediateKey), critical: false))
            chain.leaf.issuer = between.subject
            chain.leaf.set(try .init(ForgedChain.issuerIdentifier(key), critical: false))
            return [
                try chain.leaf.signed(by: key), try between.signed(by: chain.intermediateKey),
                try chain.intermediate.signed(by: chain.rootKey),
            ]
        },
        Flaw("an intermediate that allows itself more", "untrusted", "longer than its 1") {
            chain, _ in
            let key = P256.Signing.PrivateKey()
            chain.intermediate.set(
                try .init(BasicConstraints.isCertificateAuthority(maxPathLength: 5), critical: true)
            )
            var between = chain.intermediate
            between.keyInfo = try DER.bytes(key.certificateKey)
            between.issuer = chain.intermediate.subject
            between.subject = try DistinguishedName { CommonName("below") }
            between.set(try .init(ForgedChain.keyIdentifier(key), critical: false))
            between.set(
                try .init(ForgedChain.issuerIdentifier(chain.intermediateKey), critical: false))
            chain.leaf.issuer = between.subject
            chain.leaf.set(try .init(ForgedChain.issuerIdentifier(key), critical: false))
            return [
                try chain.leaf.signed(by: key), try between.signed(by: chain.intermediateKey),
                try chain.intermediate.signed(by: chain.rootKey),
            ]
        },
        Flaw("a node that issues", "untrusted", "an issuer is no CA") { chain, _ in
            let key = P256.Signing.PrivateKey()
            var thief = chain.leaf
            thief.keyInfo = try DER.bytes(key.certificateKey)
            thief.subject = try DistinguishedName { CommonName("a node") }
            var forged = chain.leaf
            forged.issuer = thief.subject
            forged.set(try .init(ForgedChain.issuerIdentifier(key), critical: false))
            return [
                try forged.signed(by: key), try thief.signed(by: chain.intermediateKey),
                try chain.intermediate.signed(by: chain.rootKey),
            ]
        },
        Flaw("bytes behind a certificate", "malformedCertificate", "cannot be parsed") { chain, _ in
            var presented = try chain.presented()
            presented[0] += [0]
            return presented
        },
        Flaw("five certificates", "chainTooLong", "at most 4") { chain, _ in
            Array(repeating: try chain.presented()[0], count: 5)
        },
        Flaw("no certificate", "noCertificate", "presented no certificate") { _, _ in [] },
    ]
}
