// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import TrustForgery
import X509

/// One way to spoil an honest chain, and how it must be refused.
struct Flaw: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// The case of the error.
    let kind: String
    /// Part of what the operator reads.
    let reason: String
    /// Spoils the chain, or returns what the peer presents instead of it.
    let forge: @Sendable (inout ForgedChain, inout SplitMix64) throws -> [[UInt8]]?

    init(
        _ description: String, _ kind: String, _ reason: String,
        _ forge: @escaping @Sendable (inout ForgedChain, inout SplitMix64) throws -> [[UInt8]]?
    ) {
        testDescription = description
        self.kind = kind
        self.reason = reason
        self.forge = forge
    }

    /// For flaws of one certificate.
    static func leaf(
        _ description: String, _ kind: String, _ reason: String,
        _ spoil: @escaping @Sendable (inout ForgedCertificate) throws -> Void
    ) -> Flaw {
        Flaw(description, kind, reason) { chain, _ in
            try spoil(&chain.leaf)
            return nil
        }
    }

    static func intermediate(
        _ description: String, _ kind: String, _ reason: String,
        _ spoil: @escaping @Sendable (inout ForgedCertificate) throws -> Void
    ) -> Flaw {
        Flaw(description, kind, reason) { chain, _ in
            try spoil(&chain.intermediate)
            return nil
        }
    }

    static func names(_ description: String, _ reason: String, _ names: [GeneralName]) -> Flaw {
        .leaf(description, "unsuitable", reason) { try $0.setNames(names) }
    }

    static func constraints(
        _ description: String, _ reason: String, _ constraints: NameConstraints
    ) -> Flaw {
        .intermediate(description, "untrusted", reason) {
            $0.set(try .init(constraints, critical: true))
        }
    }

    static let all = identities + constraints + times + usages + shapes + paths
}

private let node = GeneralName.uniformResourceIdentifier("spiffe://east.weft.test/node/n1")

private func uri(_ text: String) -> GeneralName { .uniformResourceIdentifier(text) }

extension Flaw {
    static let identities: [Flaw] = [
        .leaf("names another cluster", "untrusted", "an issuer belongs to spiffe://east") {
            try $0.setNames([uri("spiffe://west.weft.test/node/n1")])
        },
        .leaf("names a cluster nobody knows", "foreignTrustDomain", "add the bundle") {
            try $0.setNames([uri("spiffe://north.weft.test/node/n1")])
        },
        .leaf("names a domain below the cluster's", "foreignTrustDomain", "add the bundle") {
            try $0.setNames([uri("spiffe://a.east.weft.test/node/n1")])
        },
        .names("two URIs", "exactly one name", [node, uri("spiffe://east.weft.test/node/n2")]),
        .names(
            "a URI of another cluster beside", "exactly one name",
            [
                node, uri("spiffe://west.weft.test/node/n1"),
            ]),
        .names("a DNS name beside", "exactly one name", [node, .dnsName("n1.east.weft.test")]),
        .names("only a DNS name", "exactly one name", [.dnsName("n1.east.weft.test")]),
        .names("only an e-mail address", "exactly one name", [.rfc822Name("a@east.weft.test")]),
        .names("no names in the list", "exactly one name", []),
        .names("the authority's name", "node", [uri("spiffe://east.weft.test")]),
        .names("another path", "node", [uri("spiffe://east.weft.test/pod/n1")]),
        .names("a longer path", "node", [uri("spiffe://east.weft.test/node/n1/x")]),
        .names("a path that climbs", "node", [uri("spiffe://east.weft.test/node/..")]),
        .names("another scheme", "node", [uri("https://east.weft.test/node/n1")]),
        .names("a scheme in capitals", "node", [uri("SPIFFE://east.weft.test/node/n1")]),
        .names("a domain in capitals", "node", [uri("spiffe://EAST.weft.test/node/n1")]),
        .names("a port", "node", [uri("spiffe://east.weft.test:1/node/n1")]),
        .names("a user", "node", [uri("spiffe://west@east.weft.test/node/n1")]),
        .names("a query", "node", [uri("spiffe://east.weft.test/node/n1?x")]),
        .names("an escape", "node", [uri("spiffe://east.weft.test/node/%6e1")]),
        .names("nine names", "more than 8 names", Array(repeating: node, count: 9)),
        .leaf("a longer extension than is read", "malformedCertificate", "longer than 4096 bytes") {
            try $0.setNames(Array(repeating: node, count: 300))
        },
        .leaf("no name at all", "unsuitable", "exactly one name") {
            $0.remove(.X509ExtensionID.subjectAlternativeName)
        },
        .leaf("a name that isn't critical", "unsuitable", "a name that isn't critical") {
            try $0.setNames([node], isCritical: false)
        },
        .intermediate("an issuer of a domain above", "untrusted", "an issuer belongs to") {
            try $0.setNames([uri("spiffe://weft.test")])
        },
        .intermediate("an issuer with a node's name", "untrusted", "an issuer belongs to") {
            try $0.setNames([node])
        },
        .intermediate("an issuer with two names", "untrusted", "an issuer belongs to") {
            try $0.setNames([uri("spiffe://east.weft.test"), uri("spiffe://west.weft.test")])
        },
        .intermediate("a nameless issuer", "untrusted", "an issuer belongs to") {
            $0.remove(.X509ExtensionID.subjectAlternativeName)
        },
    ]

    static let constraints: [Flaw] = [
        .intermediate("an issuer without constraints", "untrusted", "lacks the constraints") {
            $0.remove(.X509ExtensionID.nameConstraints)
        },
        .constraints(
            "constrained to another cluster", "don't permit",
            NameConstraints(
                permittedDNSDomains: ["east.weft.test"], permittedURIDomains: ["west.weft.test"])),
        .constraints(
            "constrained to what is below the cluster", "don't permit",
            NameConstraints(
                permittedDNSDomains: ["east.weft.test"], permittedURIDomains: [".east.weft.test"])),
        .constraints(
            "constrained to the domain above", "don't permit",
            NameConstraints(
                permittedDNSDomains: ["east.weft.test"], permittedURIDomains: ["weft.test"])),
        .constraints(
            "constrained to the whole mesh", "lacks the constraints",
            NameConstraints(
                permittedDNSDomains: ["east.weft.test"], permittedURIDomains: [".weft.test"])),
        .constraints(
            "constrained to two clusters", "lacks the constraints",
            NameConstraints(
                permittedDNSDomains: ["east.weft.test"],
                permittedURIDomains: ["east.weft.test", "west.weft.test"])),
        .constraints(
            "URIs constrained and DNS names not", "lacks the constraints",
            NameConstraints(permittedURIDomains: ["east.weft.test"])),
        .constraints(
            "itself excluded", "don't permit",
            NameConstraints(
                permittedDNSDomains: ["east.weft.test"], permittedURIDomains: ["east.weft.test"],
                forbiddenURIDomains: ["east.weft.test"])),
        .constraints(
            "e-mail addresses constrained", "of a kind that isn't read",
            NameConstraints(permittedSubtrees: [.rfc822Name("east.weft.test")])),
        .constraints(
            "directory names constrained", "of a kind that isn't read",
            NameConstraints(permittedSubtrees: [.directoryName(DistinguishedName())])),
        .leaf("a node that constrains names", "unsuitable", "constrains names though") {
            $0.set(
                try .init(
                    NameConstraints(permittedURIDomains: ["east.weft.test"]), critical: true))
        },
    ]

    static let times: [Flaw] = [
        .leaf("expired", "expired", "renew it") { $0.notAfter = noon - 1 },
        .leaf("not yet valid", "notYetValid", "clock here is behind") { $0.notBefore = noon + 1 },
        .intermediate("an expired issuer", "expired", "renew it") { $0.notAfter = noon - 1 },
        .intermediate("an issuer of tomorrow", "notYetValid", "clock here") {
            $0.notBefore = noon + 86_400
        },
    ]
}
