// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import TrustForgery
import X509

@testable import MeshTrust

@Suite("Verifying a peer")
struct PeerVerifierTests {
    let eastCA: ForgedChain
    let westCA: ForgedChain
    let store: TrustStore

    init() throws {
        var random = SplitMix64(seed: 7)
        eastCA = try ForgedChain(east, mesh: mesh, now: noon, using: &random)
        westCA = try ForgedChain(west, mesh: mesh, now: noon, using: &random)
        store = TrustStore([try eastCA.bundle(), try westCA.bundle()])
    }

    @Test("a node's certificate gives its cluster and name, and the whole chain")
    func accepted() throws {
        let presented = try eastCA.presented()
        let (peer, chain) = try PeerVerifier(store: store).verify(presented: presented, now: noon)
        #expect(peer.cluster == east && peer.node == eastCA.node)
        #expect(Array(chain.prefix(2)) == Array(presented.prefix(2)))
        #expect(try chain.last == eastCA.bundle().anchors[0].bytes)
    }

    @Test("what an authority issues is accepted, also under a root without name constraints")
    func issued() throws {
        for areNamesConstrained in [true, false] {
            let cluster = try Cluster(areNamesConstrained: areNamesConstrained)
            let store = TrustStore([cluster.authority.bundle])
            #expect(try refusal(of: cluster.node("n1"), by: store, now: Date()) == nil)
        }
    }

    @Test("an unknown trust domain names the bundle that is missing")
    func foreign() throws {
        let error = try refusal(of: westCA.presented(), by: TrustStore([eastCA.bundle()]))
        #expect(error == .foreignTrustDomain("west.weft.test"))
        #expect("\(error!)".contains("add the bundle"))
    }

    @Test("time decides, and the message tells which certificate, when, and what this clock says")
    func validity() throws {
        var chain = eastCA
        chain.leaf.notBefore = noon - 60
        chain.leaf.notAfter = noon + 3_600
        chain.sendsRoot = false
        let presented = try chain.presented()
        let expired = refusal(of: presented, by: store, now: noon + 3_601)
        #expect(expired.map(kind) == "expired")
        #expect("\(expired!)".contains("node/\(chain.node)"))
        #expect("\(expired!)".contains("2026-07-01T01:00:00Z"))
        chain.intermediate.notBefore = noon - 600
        chain.root.notBefore = noon - 600
        try chain.signRoot()
        let early = try refusal(
            of: chain.presented(), by: TrustStore([chain.bundle()]), now: noon - 61)
        #expect(early.map(kind) == "notYetValid")
        #expect("\(early!)".contains("clock here is behind"))
        #expect(refusal(of: presented, by: store, now: noon - 59) == nil)
    }

    @Test("an expired anchor beside a valid one is no fault, alone it is")
    func anchors() throws {
        var random = SplitMix64(seed: 8)
        let old = try ForgedChain(
            east, mesh: mesh, now: noon - 20 * 365 * 86_400, using: &random)
        let anchors = try old.bundle().anchors + eastCA.bundle().anchors
        let both = TrustBundle(trustDomain: eastCA.domain, uncheckedAnchors: anchors[...])
        #expect(try refusal(of: eastCA.presented(), by: TrustStore([both])) == nil)
        let error = try refusal(of: eastCA.presented(), by: TrustStore([old.bundle()]))
        #expect(error.map(kind) == "expired")
    }

    @Test("of two roots with one name the one that signed is found, in either order")
    func sameName() throws {
        var random = SplitMix64(seed: 9)
        let next = try ForgedChain(east, mesh: mesh, now: noon, using: &random)
        #expect(next.root.subject == eastCA.root.subject)
        let (a, b) = try (eastCA.bundle().anchors[0], next.bundle().anchors[0])
        for anchors in [[a, b], [b, a]] {
            let bundle = TrustBundle(trustDomain: eastCA.domain, uncheckedAnchors: anchors[...])
            for chain in [eastCA, next] {
                #expect(try refusal(of: chain.presented(), by: TrustStore([bundle])) == nil)
            }
        }
    }

    @Test("an oversized chain or certificate is refused before it is parsed")
    func caps() throws {
        let leaf = try eastCA.presented()[0]
        #expect(refusal(of: [], by: store) == .noCertificate)
        #expect(
            refusal(of: Array(repeating: leaf, count: 5), by: store) == .chainTooLong(count: 5))
        let large = [UInt8](repeating: 0, count: 16_385)
        #expect(refusal(of: [leaf, large], by: store) == .certificateTooLarge(bytes: 16_385))
        #expect(refusal(of: [[1, 2, 3]], by: store).map(kind) == "malformedCertificate")
    }

    @Test("a denial sees the whole path and has the last word")
    func denial() throws {
        let issuer = try eastCA.bundle().anchors[0].publicKey
        let presented = try eastCA.presented()
        let error = refusal(of: presented, by: store) { path in
            path.count == 3 && path[2].publicKey == issuer ? "key 7 was stolen" : nil
        }
        #expect(error.map(kind) == "denied")
        #expect("\(error!)".contains("key 7 was stolen"))
        #expect(refusal(of: presented, by: store, denied: { _ in nil }) == nil)
    }

    @Test("a stranger's names reach a message printable and bounded")
    func labels() throws {
        var chain = eastCA
        let name = "spiffe://a\n\u{1b}[31m" + String(repeating: "b", count: 2_000)
        try chain.leaf.setNames([.uniformResourceIdentifier(name)])
        let text = try "\(#require(refusal(of: chain.presented(), by: store)))"
        #expect(text.utf8.count < 600)
        #expect(!text.contains("\n") && !text.contains("\u{1b}"))
    }

    @Test("chains made to cost time are refused, or accepted, as they should")
    func worstCases() throws {
        let chains = try WorstChain.all(now: noon)
        for chain in chains {
            let error = refusal(of: chain.presented, by: TrustStore([chain.bundle]))
            let isHonest = chain.name == "good, among anchors of the same name"
            #expect((error == nil) == isHonest, "\(chain.name): \(String(describing: error))")
            #expect(
                chain.presented.allSatisfy {
                    $0.count <= PeerVerifier.certificateBytesMaximum
                }, "\(chain.name) is longer than what is read")
        }
    }
}

@Suite("Names and bundles")
struct TrustBundleTests {
    let chain: ForgedChain

    init() throws {
        var random = SplitMix64(seed: 3)
        chain = try ForgedChain(east, mesh: mesh, now: noon, using: &random)
    }

    @Test("a bundle survives its PEM, and is refused for another cluster")
    func roundTrip() throws {
        let bundle = try chain.bundle()
        let pem = try bundle.pem()
        #expect(try TrustBundle(trustDomain: chain.domain, pem: pem) == bundle)
        let other = try TrustDomain(cluster: west, mesh: mesh)
        let error = #expect(throws: TrustError.self) {
            try TrustBundle(trustDomain: other, pem: pem)
        }
        #expect("\(error!)".contains("holds a certificate of spiffe://east.weft.test"))
    }

    @Test("what is no list of CA certificates is no bundle")
    func invalid() throws {
        let leaf = try pemText([Certificate(derEncoded: chain.presented()[0])])
        let root = try chain.bundle().anchors[0]
        let many = try pemText(Array(repeating: root, count: 9))
        for pem in ["", "hello", leaf, many, String(repeating: " ", count: 200_000)] {
            #expect(throws: TrustError.self) {
                try TrustBundle(trustDomain: chain.domain, pem: pem)
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
