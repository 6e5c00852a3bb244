// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
import MeshModel
public import MeshTrust
import SwiftASN1
import X509

/// A chain made to cost its verifier as much as it can.
public struct WorstChain: Sendable {
    public let name: String
    /// DER, at most as long and as many as a verifier reads.
    public let presented: [[UInt8]]
    /// Of the domain that the chain names.
    public let bundle: TrustBundle

    static let certificateBytes = PeerVerifier.certificateBytesMaximum

    /// - Parameter now: when all certificates are valid.
    public static func all(now: Date) throws -> [WorstChain] {
        var random = SplitMix64(seed: 1)
        let honest = try Honest(now: now, using: &random)
        let chain = honest.chain
        func worst(
            _ name: String, onlyIssuer: Bool = false,
            _ spoil: (inout ForgedCertificate) throws -> Void
        ) throws -> WorstChain {
            // The worst certificate in every place that is read.
            var spoiled = chain
            if !onlyIssuer { try spoil(&spoiled.leaf) }
            try spoil(&spoiled.intermediate)
            let leaf = try spoiled.leaf.signed(by: chain.intermediateKey)
            let issuer = try spoiled.intermediate.signed(by: chain.rootKey)
            return WorstChain(
                name: name, presented: [leaf, issuer, issuer, issuer], bundle: honest.bundle)
        }
        return [
            WorstChain(
                name: "good, among anchors of the same name",
                presented: try chain.presented(), bundle: honest.crowdedBundle),
            WorstChain(
                name: "good, its issuer's key in no anchor of its name",
                presented: try honest.strangersChain(), bundle: honest.crowdedBundle),
            WorstChain(
                name: "three links of its own on P-384",
                presented: try honest.ownChain(), bundle: honest.crowdedBundle),
            try worst("as many names as an extension holds") {
                try $0.setNames(Array(repeating: .dnsName("a"), count: 1_350))
            },
            try worst("as many constraints as an extension holds", onlyIssuer: true) {
                let uris = Array(repeating: "a", count: 800)
                $0.set(try .init(NameConstraints(permittedURIDomains: uris), critical: true))
            },
            try worst("as many large extensions as fit", onlyIssuer: true) { certificate in
                for number in 0..<3 as Range<UInt> {
                    let nodes = Array(repeating: [0x05, 0x00] as [UInt8], count: 1_900)
                    certificate.extensions.append(
                        .init(
                            oid: [1, 2, number], critical: false,
                            value: DER.wrap(0x30, nodes.flatMap(\.self))[...]))
                }
            },
            try worst("thousands of names") {
                try $0.setNames(Array(repeating: .dnsName("a"), count: 5_000))
            },
            try worst("thousands of URIs") {
                try $0.setNames(
                    Array(repeating: .uniformResourceIdentifier("spiffe://a"), count: 1_200))
            },
            try worst("thousands of constraints") {
                let subtrees = (0..<1_500).map { GeneralName.dnsName("a\($0)") }
                $0.set(
                    try .init(
                        NameConstraints(permittedSubtrees: subtrees, excludedSubtrees: []),
                        critical: true))
            },
            try worst("as many extensions as fit") { certificate in
                certificate.extensions += (0..<1_300).map {
                    .init(oid: [1, 2, UInt($0)], critical: false, value: [])
                }
            },
            try worst("as many purposes as fit") {
                let purposes = (0..<3_200).flatMap { DER.wrap(0x06, [0x2a, UInt8($0 % 128)]) }
                $0.set(
                    Certificate.Extension(
                        oid: .X509ExtensionID.extendedKeyUsage, critical: false,
                        value: DER.wrap(0x30, purposes)[...]))
            },
            try worst("an endless name") {
                $0.subject = try DistinguishedName {
                    for _ in 0..<1_000 { CommonName("a") }
                }
            },
            try worst("a huge RSA key") { $0.keyInfo = rsaKey(modulusBytes: 15_000) },
            try worst("an RSA key of 16,384 bits") { $0.keyInfo = rsaKey(modulusBytes: 2_048) },
            try worst("a P-521 key") {
                $0.keyInfo = try DER.bytes(
                    Certificate.PublicKey(P521.Signing.PrivateKey().publicKey))
            },
            WorstChain(
                name: "nothing but nesting",
                presented: Array(repeating: nested(), count: 4), bundle: honest.bundle),
            WorstChain(
                name: "nothing but small nodes",
                presented: Array(
                    repeating: DER.wrap(
                        0x30, Array(repeating: [0x05, 0x00], count: 8_100).flatMap(\.self)),
                    count: 4), bundle: honest.bundle),
        ]
    }

    /// As deep as a parser may be tempted to go.
    private static func nested() -> [UInt8] {
        var bytes: [UInt8] = [0x05, 0x00]
        while bytes.count < certificateBytes - 8 { bytes = DER.wrap(0x30, bytes) }
        return bytes
    }

    private static func rsaKey(modulusBytes: Int) -> [UInt8] {
        let algorithm = DER.wrap(
            0x30, [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00])
        let modulus = DER.wrap(0x02, [0] + Array(repeating: 0xff, count: modulusBytes))
        let exponent = DER.wrap(0x02, [0x01, 0x00, 0x01])
        return DER.wrap(
            0x30, algorithm + DER.wrap(0x03, [0] + DER.wrap(0x30, modulus + exponent)))
    }
}

/// An honest chain whose bundle holds as many anchors of one name as fit, without key identifiers
/// that would tell which is meant.
private struct Honest {
    let chain: ForgedChain
    let bundle: TrustBundle
    let crowdedBundle: TrustBundle

    init(now: Date, using random: inout SplitMix64) throws {
        guard let cluster = ClusterName(rawValue: "east") else { throw TrustError.noCertificate }
        var chain = try ForgedChain(cluster, mesh: "weft.test", now: now, using: &random)
        chain.intermediate.remove(.X509ExtensionID.authorityKeyIdentifier)
        chain.sendsRoot = true
        self.chain = chain
        bundle = try chain.bundle()
        var certificates: [[UInt8]] = []
        for _ in 1..<TrustBundle.anchorsMaximum {
            var other = chain.root
            let key = P256.Signing.PrivateKey()
            other.keyInfo = try DER.bytes(key.certificateKey)
            certificates.append(try other.signed(by: key))
        }
        certificates.append(chain.rootBytes)
        crowdedBundle = try TrustBundle(trustDomain: chain.domain, certificates: certificates)
    }

    func strangersChain() throws -> [[UInt8]] {
        let leaf = try chain.leaf.signed(by: chain.intermediateKey)
        let stranger = P256.Signing.PrivateKey()
        return [leaf, try chain.intermediate.signed(by: stranger)]
    }

    /// Good links, with the slowest keys that are read, to a root of the attacker's own that has the
    /// name of all anchors.
    func ownChain() throws -> [[UInt8]] {
        let keys = (0..<3).map { _ in P384.Signing.PrivateKey() }
        var leaf = chain.leaf
        leaf.algorithm = ForgedCertificate.ecdsaWithSHA384
        leaf.remove(.X509ExtensionID.authorityKeyIdentifier)
        leaf.issuer = chain.root.subject
        var presented = [try leaf.signed(by: keys[0])]
        for (index, key) in keys.enumerated() {
            var issuer = chain.root
            issuer.algorithm = ForgedCertificate.ecdsaWithSHA384
            issuer.keyInfo = try DER.bytes(Certificate.PublicKey(key.publicKey))
            presented.append(try issuer.signed(by: keys[min(index + 1, 2)]))
        }
        return presented
    }
}
