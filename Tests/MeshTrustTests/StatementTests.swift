// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import TrustForgery
import X509

@testable import MeshTrust

extension Statement.Kind {
    fileprivate static let test = Statement.Kind("weft test")
}

@Suite("What an authority states")
struct StatementTests {
    let statement = Statement(.test, body: Array("who may write".utf8))

    @Test("is believed by whoever has the root, which may be offline, until the intermediate ends")
    func accepted() throws {
        let cluster = try Cluster(now: noon)
        try FileManager.default.removeItem(atPath: "\(cluster.directory)/root.pem")
        let signature = try cluster.authority.sign(statement: statement)
        let encoded = signature.encoded
        #expect(encoded.count < 1_024)
        let read = try StatementSignature(encoded: encoded)
        #expect(read == signature)
        let bundle = cluster.authority.bundle
        try bundle.verify(read, of: statement, now: noon)
        #expect(cluster.authority.statementsEnd == noon + 30 * 86_400)
        try bundle.verify(read, of: statement, now: cluster.authority.statementsEnd)
        for now in [noon - 61, cluster.authority.statementsEnd + 1] {
            #expect(throws: TrustError.self) { try bundle.verify(read, of: statement, now: now) }
        }
    }

    @Test("is verified by OpenSSL too, with the key of the certificate that comes along")
    func openSSL() throws {
        let cluster = try Cluster()
        let signature = try cluster.authority.sign(statement: statement)
        let signer = try Certificate(derEncoded: signature.chain[0])
        let certificate = try cluster.folder.write(pemText([signer]), to: "signer.pem")
        let raw = try P256.Signing.ECDSASignature(rawRepresentation: signature.signature)
        for (name, data) in [
            ("text", Data(statement.signedBytes)), ("signature", raw.derRepresentation),
        ] {
            try data.write(to: URL(filePath: "\(cluster.folder.path)/\(name)"))
        }
        let path = cluster.folder.path
        let (_, key) = try run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"])
        let keyFile = try cluster.folder.write(key, to: "key.pem")
        let (code, output) = try run([
            "openssl", "dgst", "-sha256", "-verify", keyFile, "-signature", "\(path)/signature",
            "\(path)/text",
        ])
        #expect(code == 0, "\(output)")
    }

    @Test("of one kind is none of another, even where the bytes behind the kind add up")
    func kinds() throws {
        let cluster = try Cluster()
        let bundle = cluster.authority.bundle
        let signature = try cluster.authority.sign(statement: statement)
        for other in [
            Statement(.ledgerDelegation, body: statement.body),
            Statement(.test, body: statement.body + [0]), Statement(.test, body: []),
            Statement(.init("weft tes"), body: Array("t".utf8) + statement.body),
            Statement(.init("weft testw"), body: Array(statement.body.dropFirst())),
        ] {
            let error = #expect(throws: TrustError.self) {
                try bundle.verify(signature, of: other, now: Date())
            }
            #expect(error.map(kind) == "invalidStatement")
        }
    }

    /// The signer's place is the node's in ``Flaw``: spoil the intermediate, or what signs instead.
    private func verdict(
        _ spoil: (inout ForgedChain) throws -> (key: P256.Signing.PrivateKey, chain: [[UInt8]])
    ) throws -> TrustError? {
        var random = SplitMix64(seed: 11)
        var chain = try ForgedChain(east, mesh: mesh, now: noon, using: &random)
        let bundle = try chain.bundle()
        let (key, certificates) = try spoil(&chain)
        let raw = try key.signature(for: statement.signedBytes).rawRepresentation
        let signature = StatementSignature(signature: Array(raw), chain: certificates)
        do throws(TrustError) {
            try bundle.verify(signature, of: statement, now: noon)
            return nil
        } catch {
            return error
        }
    }

    @Test("of anybody but an authority below the root is nobody's, each for its reason")
    func forged() throws {
        func honest(_ chain: ForgedChain) throws -> (P256.Signing.PrivateKey, [[UInt8]]) {
            (chain.intermediateKey, [try chain.intermediate.signed(by: chain.rootKey)])
        }
        #expect(try verdict { try honest($0) } == nil)
        #expect(try verdict { try (honest($0).0, honest($0).1 + [$0.rootBytes]) } == nil)
        func expect(
            _ kind: String, _ reason: String,
            _ spoil: (inout ForgedChain) throws -> (P256.Signing.PrivateKey, [[UInt8]])
        ) throws {
            let error = try verdict(spoil)
            #expect(
                error.map(MeshTrustTests.kind) == kind && "\(error!)".contains(reason),
                "\(String(describing: error))")
        }
        try expect("invalidStatement", "didn't sign it") {
            (P256.Signing.PrivateKey(), try honest($0).1)
        }
        try expect("unsuitable", "is no CA") { chain in
            let key = P256.Signing.PrivateKey()
            chain.leaf.keyInfo = try DER.bytes(key.certificateKey)
            return (
                key,
                [
                    try chain.leaf.signed(by: chain.intermediateKey),
                    try chain.intermediate.signed(by: chain.rootKey),
                ]
            )
        }
        // The root itself: its key usage has certificates only.
        try expect("unsuitable", "may not sign statements") { ($0.rootKey, [$0.rootBytes]) }
        try expect("untrusted", "key didn't sign it") { chain in
            (
                chain.intermediateKey,
                [try chain.intermediate.signed(by: P256.Signing.PrivateKey())]
            )
        }
        try expect("unsuitable", "belongs to") { chain in
            try chain.intermediate.setNames([
                .uniformResourceIdentifier("spiffe://west.weft.test")
            ])
            return try honest(chain)
        }
        try expect("expired", "renew it") { chain in
            chain.intermediate.notAfter = noon - 1
            return try honest(chain)
        }
        try expect("untrusted", "lacks the constraints") { chain in
            chain.intermediate.remove(.X509ExtensionID.nameConstraints)
            return try honest(chain)
        }
        try expect("unsuitable", "isn't X.509 v3") { chain in
            chain.intermediate.version = nil
            return try honest(chain)
        }
        try expect("unsuitable", "critical extension") { chain in
            chain.intermediate.extensions.append(.init(oid: [1, 2, 3], critical: true, value: []))
            return try honest(chain)
        }
        try expect("untrusted", "longer than its 0") { chain in
            let key = P256.Signing.PrivateKey()
            var below = chain.intermediate
            below.keyInfo = try DER.bytes(key.certificateKey)
            below.issuer = chain.intermediate.subject
            below.set(
                try .init(ForgedChain.issuerIdentifier(chain.intermediateKey), critical: false))
            return (
                key,
                [
                    try below.signed(by: chain.intermediateKey),
                    try chain.intermediate.signed(by: chain.rootKey),
                ]
            )
        }
        try expect("invalidStatement", "0 certificates") { ($0.intermediateKey, []) }
        try expect("invalidStatement", "3 certificates") { chain in
            (chain.intermediateKey, Array(repeating: try honest(chain).1[0], count: 3))
        }
    }

    @Test("of another cluster, or revoked, isn't believed")
    func strangers() throws {
        let (cluster, other) = (try Cluster(), try Cluster(west))
        let signature = try cluster.authority.sign(statement: statement)
        #expect(throws: TrustError.self) {
            try other.authority.bundle.verify(signature, of: statement, now: Date())
        }
        let error = #expect(throws: TrustError.self) {
            try cluster.authority.bundle.verify(signature, of: statement, now: Date()) { _ in
                "stolen"
            }
        }
        #expect(error.map(kind) == "denied")
    }

    @Test("an encoding that was cut, lengthened or changed anywhere is refused")
    func encoding() throws {
        let cluster = try Cluster()
        let good = try cluster.authority.sign(statement: statement).encoded
        let bundle = cluster.authority.bundle
        func isBelieved(_ bytes: [UInt8]) -> Bool {
            guard let read = try? StatementSignature(encoded: bytes) else { return false }
            return (try? bundle.verify(read, of: statement, now: Date())) != nil
        }
        #expect(isBelieved(good))
        for length in good.indices { #expect(!isBelieved(Array(good.prefix(length)))) }
        for position in good.indices {
            var bytes = good
            bytes[position] ^= 1 << UInt8(position % 8)
            #expect(!isBelieved(bytes), "byte \(position)")
        }
        let long = good + [UInt8](repeating: 0, count: StatementSignature.bytesMaximum)
        for bytes in [[], good + [0], long, [2] + good.dropFirst()] {
            let error = #expect(throws: TrustError.self) { try StatementSignature(encoded: bytes) }
            #expect(error.map(kind) == "invalidStatement")
        }
    }
}
