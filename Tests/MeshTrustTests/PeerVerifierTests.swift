// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("Verifying a peer")
struct PeerVerifierTests {
    let eastCA: Forge
    let westCA: Forge
    let store: TrustStore

    init() throws {
        eastCA = try Forge(east)
        westCA = try Forge(west)
        store = TrustStore([eastCA.bundle, westCA.bundle])
    }

    @Test("a node's certificate gives its cluster and name, and the whole chain")
    func accepted() async throws {
        let leaf = try eastCA.sign(.init("spiffe://east.weft.test/node/n1"))
        let (peer, chain) = try await PeerVerifier(store: store)
            .verify(presented: [leaf.bytes], now: noon)
        #expect(peer.cluster == east && peer.node == "n1")
        #expect(try chain == [leaf.bytes, eastCA.root.bytes])
    }

    @Test("a chain through an intermediate is accepted")
    func intermediate() async throws {
        var template = Forge.Template("spiffe://east.weft.test")
        template.isCA = true
        template.usage = KeyUsage(keyCertSign: true)
        template.subject = try DistinguishedName { CommonName("intermediate") }
        let intermediate = try eastCA.sign(template)
        let leaf = try CertificateProfile.node(
            PeerIdentity(domain: eastCA.domain, node: "n1")!,
            publicKey: Certificate.PrivateKey(P256.Signing.PrivateKey()).publicKey,
            issuer: intermediate, issuerKey: template.key, now: noon)
        #expect(
            try await refusal(of: [leaf.bytes, intermediate.bytes], by: store) == nil)
        #expect(try await refusal(of: [leaf.bytes], by: store).map(kind) == "untrusted")
    }

    @Test("one cluster's authority cannot mint another's identity")
    func crossMint() async throws {
        var template = Forge.Template("spiffe://west.weft.test/node/n1")
        #expect(
            try await refusal(of: [eastCA.sign(template).bytes], by: store).map(kind)
                == "untrusted")
        // Not even by pretending to be issued by the other's root.
        template.issuer = westCA.root.subject
        #expect(
            try await refusal(of: [eastCA.sign(template).bytes], by: store).map(kind)
                == "untrusted")
    }

    @Test("an unknown trust domain names the bundle that is missing")
    func foreign() async throws {
        let leaf = try westCA.sign(.init("spiffe://west.weft.test/node/n1"))
        let error = try await refusal(of: [leaf.bytes], by: TrustStore([eastCA.bundle]))
        #expect(error == .foreignTrustDomain("west.weft.test"))
        #expect("\(error!)".contains("add the bundle"))
    }

    @Test("time decides, and the message tells which certificate, when, and what this clock says")
    func validity() async throws {
        let leaf = try eastCA.sign(.init("spiffe://east.weft.test/node/n1")).bytes
        let expired = await refusal(of: [leaf], by: store, now: noon + 3_601)
        #expect(expired.map(kind) == "expired")
        #expect("\(expired!)".contains("node/n1"))
        #expect("\(expired!)".contains("2026-07-01T01:00:00Z"))
        let early = await refusal(of: [leaf], by: store, now: noon - 61)
        #expect(early.map(kind) == "notYetValid")
        #expect("\(early!)".contains("clock here is behind"))
        #expect(await refusal(of: [leaf], by: store, now: noon - 59) == nil)
    }

    @Test("an expired anchor beside a valid one is no fault, alone it is")
    func anchors() async throws {
        let leaf = try eastCA.sign(.init("spiffe://east.weft.test/node/n1")).bytes
        let old = try Forge(east, now: noon - 20 * 365 * 86_400)
        let both = TrustBundle(
            trustDomain: eastCA.domain, uncheckedAnchors: [old.root, eastCA.root])
        #expect(await refusal(of: [leaf], by: TrustStore([both])) == nil)
        #expect(await refusal(of: [leaf], by: TrustStore([old.bundle])).map(kind) == "expired")
    }

    @Test("an oversized chain or certificate is refused before it is parsed")
    func caps() async throws {
        let leaf = try eastCA.sign(.init("spiffe://east.weft.test/node/n1")).bytes
        #expect(await refusal(of: [], by: store) == .noCertificate)
        #expect(
            await refusal(of: Array(repeating: leaf, count: 5), by: store)
                == .chainTooLong(count: 5))
        let large = [UInt8](repeating: 0, count: 16_385)
        #expect(await refusal(of: [leaf, large], by: store) == .certificateTooLarge(bytes: 16_385))
        #expect(await refusal(of: [[1, 2, 3]], by: store).map(kind) == "malformedCertificate")
        for length in stride(from: 0, to: leaf.count, by: 7) {
            #expect(await refusal(of: [Array(leaf.prefix(length))], by: store) != nil)
        }
    }

    struct Flaw: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let reason: String
        let change: @Sendable (inout Forge.Template) -> Void
    }

    static let flaws: [Flaw] = [
        Flaw(testDescription: "a CA as leaf", reason: "no CA") { $0.isCA = true },
        Flaw(testDescription: "may sign certificates", reason: "key usage") {
            $0.usage = KeyUsage(digitalSignature: true, keyCertSign: true)
        },
        Flaw(testDescription: "may sign revocations", reason: "key usage") {
            $0.usage = KeyUsage(digitalSignature: true, cRLSign: true)
        },
        Flaw(testDescription: "may not sign", reason: "key usage") {
            $0.usage = KeyUsage(keyAgreement: true)
        },
        Flaw(testDescription: "only for servers", reason: "both TLS client and server") {
            $0.purposes = [.serverAuth]
        },
        Flaw(testDescription: "two names", reason: "exactly one name") {
            $0.names.append(.uniformResourceIdentifier("spiffe://east.weft.test/node/n2"))
        },
        Flaw(testDescription: "a DNS name beside", reason: "exactly one name") {
            $0.names.append(.dnsName("n1.east.weft.test"))
        },
        Flaw(testDescription: "only a DNS name", reason: "exactly one name") {
            $0.names = [.dnsName("n1.east.weft.test")]
        },
        Flaw(testDescription: "the authority's name", reason: "node") {
            $0.names = [.uniformResourceIdentifier("spiffe://east.weft.test")]
        },
        Flaw(testDescription: "another scheme", reason: "node") {
            $0.names = [.uniformResourceIdentifier("https://east.weft.test/node/n1")]
        },
        Flaw(testDescription: "a port", reason: "node") {
            $0.names = [.uniformResourceIdentifier("spiffe://east.weft.test:1/node/n1")]
        },
        Flaw(testDescription: "an unusual key", reason: "none of P-256") {
            $0.key = Certificate.PrivateKey(P521.Signing.PrivateKey())
        },
    ]

    @Test("a certificate outside the profile is refused", arguments: flaws)
    func profile(flaw: Flaw) async throws {
        var template = Forge.Template("spiffe://east.weft.test/node/n1")
        flaw.change(&template)
        let error = try await refusal(of: [eastCA.sign(template).bytes], by: store)
        guard case .unsuitable(_, let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains(flaw.reason))
        #expect("\(error!)".contains("issue it again"))
    }

    @Test("the anchor itself is no node")
    func anchorAsLeaf() async throws {
        #expect(
            try await refusal(of: [eastCA.root.bytes], by: store).map(kind) == "unsuitable")
    }

    @Test("an intermediate that may not sign, or belongs to somebody else, leads nowhere")
    func intermediates() async throws {
        for (uri, usage) in [
            ("spiffe://east.weft.test", KeyUsage(digitalSignature: true)),
            ("spiffe://a.east.weft.test", KeyUsage(keyCertSign: true)),
        ] {
            var template = Forge.Template(uri)
            template.isCA = true
            template.usage = usage
            template.subject = try DistinguishedName { CommonName("intermediate") }
            let intermediate = try eastCA.sign(template)
            let leaf = try CertificateProfile.node(
                PeerIdentity(domain: eastCA.domain, node: "n1")!,
                publicKey: Certificate.PrivateKey(P256.Signing.PrivateKey()).publicKey,
                issuer: intermediate, issuerKey: template.key, now: noon)
            let error = try await refusal(of: [leaf.bytes, intermediate.bytes], by: store)
            #expect(error.map(kind) == "untrusted")
        }
    }
}

@Suite("Names and bundles")
struct TrustBundleTests {
    @Test("a bundle survives its PEM, and is refused for another cluster")
    func roundTrip() throws {
        let forge = try Forge(east)
        let pem = try forge.bundle.pem()
        #expect(try TrustBundle(trustDomain: forge.domain, pem: pem) == forge.bundle)
        let other = try TrustDomain(cluster: west, mesh: mesh)
        let error = #expect(throws: TrustError.self) {
            try TrustBundle(trustDomain: other, pem: pem)
        }
        #expect("\(error!)".contains("holds a certificate of spiffe://east.weft.test"))
    }

    @Test("what is no list of CA certificates is no bundle")
    func invalid() throws {
        let forge = try Forge(east)
        let leaf = try pemText([forge.sign(.init("spiffe://east.weft.test/node/a"))])
        let many = try pemText(Array(repeating: forge.root, count: 9))
        for pem in ["", "hello", leaf, many, String(repeating: " ", count: 200_000)] {
            #expect(throws: TrustError.self) {
                try TrustBundle(trustDomain: forge.domain, pem: pem)
            }
        }
    }

    @Test(
        "only canonical SPIFFE IDs are read",
        arguments: [
            ("spiffe://east.mesh/node/a", "a"), ("spiffe://east.mesh/node/a.b", "a.b"),
            ("spiffe://east.mesh", nil), ("spiffe://east.mesh/node", nil),
            ("spiffe://east.mesh/node/a/b", nil), ("SPIFFE://east.mesh/node/a", nil),
            ("spiffe://East.mesh/node/a", nil), ("spiffe://east.mesh/node/", nil),
            ("spiffe://east.mesh//a", nil), ("spiffe://east.mesh/node/..", nil),
            ("spiffe://east.mesh/node/%61", nil), ("spiffe://u@east.mesh/node/a", nil),
            ("spiffe://east.mesh/node/a?b", nil), ("spiffe://east.mesh/node/a#b", nil),
            ("spiffe:///node/a", nil), ("", nil),
        ] as [(String, String?)])
    func identities(text: String, node: String?) { #expect(SPIFFEID(text)?.node == node) }

    @Test("a mesh name must make host names", arguments: ["", "a_b", "A", ".", "a."])
    func meshes(name: String) {
        #expect(throws: TrustError.invalidMesh(name)) {
            try TrustDomain(cluster: east, mesh: name)
        }
    }
}
