// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import X509

@testable import MeshTrust

/// Noon of the tests in seconds since 1970.
let dawn = UInt64(noon.timeIntervalSince1970)

/// A root that signs statements, and nodes' certificates, with its own key.
struct JoinRoot {
    let key = P256.Signing.PrivateKey()
    let root: Certificate

    init(_ cluster: ClusterName) throws {
        let domain = try TrustDomain(cluster: cluster, mesh: mesh)
        let name = try DistinguishedName { CommonName("authority \(domain)") }
        let signer = Certificate.PrivateKey(key)
        let identifier = SubjectKeyIdentifier(hash: signer.publicKey)
        root = try Certificate(
            version: .v3, serialNumber: .init(7), publicKey: signer.publicKey,
            notValidBefore: noon - 60, notValidAfter: noon + 86_400, issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 1))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectAlternativeNames([.uniformResourceIdentifier("spiffe://\(domain)")])
                identifier
                AuthorityKeyIdentifier(keyIdentifier: identifier.keyIdentifier)
            },
            issuerPrivateKey: signer)
    }

    func certificate(_ uri: String, for node: Certificate.PublicKey) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: .init(7), publicKey: node, notValidBefore: noon - 60,
            notValidAfter: noon + 3_600, issuer: root.subject, subject: DistinguishedName(),
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                Critical(SubjectAlternativeNames([.uniformResourceIdentifier(uri)]))
            },
            issuerPrivateKey: Certificate.PrivateKey(key))
    }
}

/// An authority with one root after the other, signing with P-256 alone.
struct TestAuthority {
    let name: ClusterName
    var roots: [JoinRoot]

    init(_ name: String) throws {
        self.name = ClusterName(rawValue: name)!
        roots = [try JoinRoot(self.name)]
    }

    var bundle: TrustBundle {
        get throws {
            try TrustBundle(
                trustDomain: TrustDomain(cluster: name, mesh: mesh), pem: pemText(roots.map(\.root))
            )
        }
    }

    /// Of the root that signs: the oldest that is left.
    var signers: [StatementSigner] { [signer(0)] }

    func signer(_ index: Int) -> StatementSigner {
        let key = roots[index].key
        return { statement throws(TrustError) in
            do { return Array(try key.signature(for: statement).rawRepresentation) } catch {
                throw .signingFailed("\(error)")
            }
        }
    }

    func description(
        _ id: UInt16, pods: String? = nil, port: UInt16 = 4790
    ) throws -> ClusterDescription {
        let pods = Prefix(pods ?? "10.\(id).0.0/16")!
        return try ClusterDescription(
            id: ClusterID(rawValue: id)!, bundle: bundle,
            addresses: [ClusterAddress("192.0.2.\(id % 256):\(port)")!],
            charter: ClusterCharter(podPrefixes: [pods])!)
    }

    func roster(_ id: UInt16, pods: String? = nil) throws -> MeshRoster {
        try MeshRoster(of: description(id, pods: pods), now: dawn, signers: signers)
    }

    /// What it would say of itself, without a roster.
    func announcement(
        _ id: UInt16, pods: String? = nil, sequence: UInt64 = dawn, hasLeft: Bool = false,
        port: UInt16 = 4790, signers: [StatementSigner]? = nil
    ) throws -> SignedAnnouncement {
        try Signed(
            Announcement(
                description: description(id, pods: pods, port: port), sequence: sequence,
                issuedAt: dawn, hasLeft: hasLeft), by: signers ?? self.signers)
    }

    func admission(
        of subject: SignedAnnouncement, sequence: UInt64, since: UInt64? = nil,
        decision: Admission.Decision = .admitted, replaces: [KeyPin] = []
    ) throws -> MeshStatement {
        .admission(
            try Signed(
                Admission(
                    introducer: name, sequence: sequence, issuedAt: dawn, decision: decision,
                    since: since ?? sequence, replaces: replaces, subject: subject), by: signers))
    }
}

/// Raw P-256 signatures by any anchor.
func verifyStatement(
    _ statement: [UInt8], _ signature: [UInt8], _ bundle: TrustBundle, _: Date
) throws(TrustError) {
    let parsed = try? P256.Signing.ECDSASignature(rawRepresentation: signature)
    let keys = bundle.anchors.compactMap { P256.Signing.PublicKey($0.publicKey) }
    guard let parsed, keys.contains(where: { $0.isValidSignature(parsed, for: statement) })
    else { throw .untrusted(certificate: bundle.trustDomain.name, reason: "no such key") }
}

extension MeshRoster {
    func state(_ name: String) -> String {
        ClusterName(rawValue: name).flatMap { clusters[$0] }.map { "\($0.state)" } ?? "unknown"
    }
    var memberNames: [String] { members.map(\.name.rawValue) }
}

func copied<Value: Codable>(_ value: Value) throws -> Value {
    try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
}

/// One side of a join with what it has on disk and what it has in memory.
struct Site {
    let authority: TestAuthority
    var roster: MeshRoster
    var book = TokenBook()
    var limiter = TryLimiter()
    private var disk: (roster: Data, book: Data)

    init(_ name: String, _ id: UInt16, pods: String? = nil) throws {
        authority = try TestAuthority(name)
        roster = try authority.roster(id, pods: pods)
        disk = (Data(), Data())
        try save()
    }

    mutating func save() throws {
        try saveRoster()
        try saveBook()
    }
    mutating func saveRoster() throws { disk.roster = try JSONEncoder().encode(roster) }
    mutating func saveBook() throws { disk.book = try JSONEncoder().encode(book) }

    /// `kill -9`, then a start.
    mutating func restart() throws {
        roster = try JSONDecoder().decode(MeshRoster.self, from: disk.roster)
        book = try JSONDecoder().decode(TokenBook.self, from: disk.book)
        limiter = TryLimiter()
    }

    mutating func token(for other: Site, now: UInt64 = dawn) throws -> JoinToken {
        let token = try book.issue(
            for: other.roster.description.subject, issuer: roster.description.bundle.trustDomain,
            pins: roster.description.pins, now: now)
        try saveBook()
        return token
    }
}

let wire = JoinChannel(serverCertificate: [1, 2, 3])
let nonce = [UInt8](repeating: 7, count: 16)
let source = Address("192.0.2.9")!

struct Killed: Error {}

/// A join over a perfect wire, all its steps numbered; it dies before step `dying`.
@discardableResult
func join(
    _ joiner: inout Site, to introducer: inout Site, token: JoinToken, now: UInt64 = dawn,
    introducerNow: UInt64? = nil, channel: JoinChannel = wire, far: JoinChannel = wire,
    dying: Int = .max
) throws -> JoinOutcome {
    var step = 0
    func next() throws {
        if step == dying { throw Killed() }
        step += 1
    }
    let remote = introducerNow ?? now
    var machine = try Joiner(token: token, roster: joiner.roster, now: now)
    let request = try machine.request(channel: channel, nonce: nonce, now: now)
    try next()
    var answer: [UInt8]
    do {
        let introduction = try JoinIntroduction.open(
            request, channel: far, source: source, book: &introducer.book,
            limiter: &introducer.limiter, roster: introducer.roster, clock: now, now: remote,
            verify: verifyStatement)
        try next()
        try introducer.saveBook()
        try next()
        _ = try introduction.admit(
            into: &introducer.roster, now: remote, signers: introducer.authority.signers,
            verify: verifyStatement)
        try next()
        try introducer.saveRoster()
        try next()
        introduction.complete(in: &introducer.book)
        try next()
        try introducer.saveBook()
        try next()
        answer = try introduction.response(
            from: introducer.roster, now: remote, signers: introducer.authority.signers)
    } catch let refusal as JoinRefusal {
        answer = JoinIntroduction.refusal(refusal)
    }
    try next()
    let outcome = try machine.receive(
        answer, into: &joiner.roster, now: now, verify: verifyStatement)
    try next()
    try joiner.saveRoster()
    try next()
    return outcome
}

let joinSteps = 10

func refusal(_ body: () throws -> Void) throws -> JoinRefusal? {
    do {
        try body()
        return nil
    } catch let refusal as JoinRefusal {
        return refusal
    }
}

/// Which refusal, without its details.
func label(_ refusal: JoinRefusal) -> String {
    Mirror(reflecting: refusal).children.first?.label ?? ""
}
