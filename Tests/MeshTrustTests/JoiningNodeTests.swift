// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import X509

@testable import MeshTrust

@Suite("A node's first certificate")
struct JoiningNodeTests {
    let authority: TestAuthority
    let description: ClusterDescription
    var book = TokenBook()
    var limiter = TryLimiter()
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())

    init() throws {
        authority = try TestAuthority("east")
        description = try authority.description(1)
    }

    mutating func token(_ node: String = "n1", cluster: UInt16 = 1) throws -> JoinToken {
        try book.issue(
            for: TokenSubject(node: node, of: ClusterID(rawValue: cluster)!)!,
            issuer: description.bundle.trustDomain, pins: description.pins, now: dawn)
    }

    func signing(_ key: Certificate.PrivateKey) throws -> CertificateSigningRequest {
        try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName(), privateKey: key, attributes: .init())
    }

    mutating func open(_ request: [UInt8], channel: JoinChannel = wire) throws -> NodeIntroduction {
        try NodeIntroduction.open(
            request, channel: channel, source: source, book: &book, limiter: &limiter,
            own: description, clock: 0, now: dawn)
    }

    func certificate(_ uri: String, key: Certificate.PrivateKey) throws -> Certificate {
        try authority.roots[0].certificate(uri, for: key.publicKey)
    }

    @Test("comes for its token, for its name and key, and again if the answer was lost")
    mutating func plain() throws {
        let token = try token()
        for _ in 0..<2 {
            var joiner = try NodeJoiner(token: token, request: signing(key), now: dawn)
            let request = try joiner.request(channel: wire, nonce: nonce, now: dawn + 40)
            #expect(TokenSubject.Kind(ofRequest: request) == .node)
            let introduction = try open(request)
            #expect(introduction.node == "n1" && introduction.clock.isAlarming)
            #expect(introduction.request.publicKey == key.publicKey)
            let chain = [try certificate("spiffe://east.weft.test/node/n1", key: key)]
            book = try copied(book)
            introduction.complete(in: &book)
            let answer = try introduction.response(
                chain: chain, bundle: description.bundle, now: dawn, signers: authority.signers)
            let welcome = try joiner.receive(answer, now: dawn, verify: verifyStatement)
            #expect(welcome.identity.description == "east/n1" && welcome.cluster.rawValue == 1)
            #expect(welcome.chain == chain && welcome.bundle == description.bundle)
        }
        let thief = Certificate.PrivateKey(P256.Signing.PrivateKey())
        var other = try NodeJoiner(token: token, request: signing(thief), now: dawn)
        let request = try other.request(channel: wire, nonce: nonce, now: dawn)
        #expect(throws: JoinRefusal.usedToken(token.id)) { try open(request) }
    }

    @Test("isn't given for another cluster's token, a cluster's token, or a stolen request")
    mutating func refusals() throws {
        let foreign = try token("n1", cluster: 9)
        var joiner = try NodeJoiner(token: foreign, request: signing(key), now: dawn)
        #expect(throws: JoinRefusal.self) {
            try open(try joiner.request(channel: wire, nonce: nonce, now: dawn))
        }
        let clusters = try book.issue(
            for: TokenSubject(cluster: west, id: ClusterID(rawValue: 2)!),
            issuer: description.bundle.trustDomain, pins: description.pins, now: dawn)
        #expect(throws: JoinRefusal.self) {
            try NodeJoiner(token: clusters, request: signing(key), now: dawn)
        }
        let token = try token()
        let other = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let stolen = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName(), publicKey: other.publicKey,
            attributes: .init(), signatureAlgorithm: .ecdsaWithSHA256,
            signature: signing(key).signature)
        joiner = try NodeJoiner(token: token, request: stolen, now: dawn)
        let request = try joiner.request(channel: wire, nonce: nonce, now: dawn)
        #expect(
            throws: JoinRefusal.malformed("the certificate request isn't signed by its own key")
        ) { try open(request) }
        let unusual = Certificate.PrivateKey(P521.Signing.PrivateKey())
        joiner = try NodeJoiner(token: token, request: signing(unusual), now: dawn)
        let large = try joiner.request(channel: wire, nonce: nonce, now: dawn)
        #expect(
            throws: JoinRefusal.malformed(
                "the certificate request: the key must be P-256, P-384 or Ed25519")
        ) { try open(large) }
        joiner = try NodeJoiner(token: token, request: signing(key), now: dawn)
        let intercepted = try joiner.request(channel: wire, nonce: nonce, now: dawn)
        #expect(throws: JoinRefusal.notProven) {
            try open(intercepted, channel: JoinChannel(serverCertificate: []))
        }
        #expect(book.entry(token.id)?.state == .open)
    }

    @Test("is taken only if it is the node's, under the pinned root, in the answer to the request")
    mutating func answers() throws {
        let token = try token()
        var joiner = try NodeJoiner(token: token, request: signing(key), now: dawn)
        let introduction = try open(joiner.request(channel: wire, nonce: nonce, now: dawn))
        let good = try certificate("spiffe://east.weft.test/node/n1", key: key)
        let others = [
            try certificate("spiffe://east.weft.test/node/n2", key: key),
            try certificate("spiffe://west.weft.test/node/n1", key: key),
            try certificate(
                "spiffe://east.weft.test/node/n1",
                key: Certificate.PrivateKey(P256.Signing.PrivateKey())),
        ]
        for chain in others.map({ [$0] }) + [[]] {
            let answer = try introduction.response(
                chain: chain, bundle: description.bundle, now: dawn, signers: authority.signers)
            #expect(throws: JoinRefusal.self) {
                try joiner.receive(answer, now: dawn, verify: verifyStatement)
            }
        }
        let impostor = try TestAuthority("east")
        let forged = try introduction.response(
            chain: [good], bundle: impostor.bundle, now: dawn, signers: impostor.signers)
        #expect(
            throws: JoinRefusal.wrongPin(
                expected: token.pins, found: try impostor.description(1).pins)
        ) { try joiner.receive(forged, now: dawn, verify: verifyStatement) }
        let answer = try introduction.response(
            chain: [good], bundle: description.bundle, now: dawn, signers: authority.signers)
        for index in answer.indices {
            var changed = answer
            changed[index] ^= 1 << (index % 8)
            #expect(throws: JoinRefusal.self, "byte \(index)") {
                try joiner.receive(changed, now: dawn, verify: verifyStatement)
            }
        }
        #expect(try joiner.receive(answer, now: dawn, verify: verifyStatement).chain == [good])
    }
}
