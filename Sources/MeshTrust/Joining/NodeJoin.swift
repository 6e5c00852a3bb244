// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import SwiftASN1
public import X509

/// The authority's side of giving a node its first certificate:
///
/// 1. ``open(_:channel:source:book:limiter:own:clock:now:)`` checks the token and reserves it.
///    *Save the book.*
/// 2. The authority issues a certificate for ``node`` from ``request``, and audits it.
/// 3. ``complete(in:)``. *Save the book.*
/// 4. ``response(chain:bundle:now:signers:)`` is the answer.
///
/// A node that was interrupted asks again with the same key and the same token.
public struct NodeIntroduction: Sendable {
    public let token: TokenID
    public let node: String
    /// Its signature is checked; of what it says only the key counts.
    public let request: CertificateSigningRequest
    /// Of the node's clock.
    public let clock: ClockDifference
    public let holder: KeyPin
    private let digest: [UInt8]

    /// - Parameters: as of
    ///   ``JoinIntroduction/open(_:channel:source:book:limiter:roster:clock:now:verify:)``; `own` is
    ///   what this cluster says of itself.
    /// - Throws: ``JoinRefusal``: the book is unchanged; answer with ``JoinIntroduction/refusal(_:)``.
    public static func open(
        _ request: [UInt8], channel: JoinChannel, source: Address, book: inout TokenBook,
        limiter: inout TryLimiter, own: ClusterDescription, clock: UInt64, now: UInt64
    ) throws(JoinRefusal) -> NodeIntroduction {
        try limiter.count(from: source, at: clock)
        let request = try JoinRequest(encoded: request)
        guard case .node(let name, let der) = request.body
        else { throw .malformed("it asks to join as a cluster") }
        guard let subject = TokenSubject(node: name, of: own.id)
        else { throw .malformed("the node's name") }
        let signing = try certificateRequest(der)
        let holder = KeyPin(of: signing.publicKey)
        _ = try request.check(
            on: channel, subject: subject, keys: [holder], own: own, book: book, now: now)
        guard signing.publicKey.isValidSignature(signing.signature, for: signing)
        else { throw .malformed("the certificate request isn't signed by its own key") }
        _ = book.reserve(request.token, for: holder)
        return NodeIntroduction(
            token: request.token, node: name, request: signing,
            clock: ClockDifference(own: now, other: request.clock), holder: holder,
            digest: request.digest(on: channel))
    }

    public func complete(in book: inout TokenBook) { _ = book.markUsed(token, by: holder) }

    /// - Parameters:
    ///   - chain: the node's certificate first, without the root.
    ///   - bundle: the own cluster's.
    public func response(
        chain: [Certificate], bundle: TrustBundle, now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> [UInt8] {
        var ders: [[UInt8]] = []
        for certificate in chain { ders.append(try certificate.der()) }
        return try JoinWelcome.answer(
            digest, .node(chain: ders, bundle: bundle), now: now, signers: signers)
    }
}

extension JoinWelcome {
    /// The whole answer, with no statements.
    static func answer(
        _ request: [UInt8], _ body: Body, now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> [UInt8] {
        let welcome = try Signed(
            JoinWelcome(request: request, issuedAt: now, body: body), by: signers)
        return JoinResponse(.welcome(welcome, statements: [])).encoded
    }
}

func certificateRequest(
    _ der: [UInt8]
) throws(JoinRefusal) -> CertificateSigningRequest {
    do throws(TrustError) { return try CertificateReader.request(der) } catch {
        guard case .invalidRequest(let reason) = error
        else { throw .malformed("the certificate request") }
        throw .malformed("the certificate request: \(reason)")
    }
}

/// What a node got for its token.
public struct NodeWelcome: Hashable, Sendable {
    public let identity: PeerIdentity
    public let cluster: ClusterID
    /// The node's certificate first, without the root.
    public let chain: [Certificate]
    /// Of the own cluster.
    public let bundle: TrustBundle
    /// Of the authority's clock.
    public let clock: ClockDifference

    /// - Parameters:
    ///   - pins: of roots that the node knew before it asked.
    ///   - key: that the certificate was asked for.
    init(
        _ welcome: Signed<JoinWelcome>, of domain: TrustDomain, roots pins: [KeyPin],
        node: String, cluster: ClusterID, key: KeyPin, now: UInt64, verify: StatementVerifier
    ) throws(JoinRefusal) {
        guard case .node(let ders, let bundle) = welcome.content.body
        else { throw .malformed("a cluster's answer") }
        guard bundle.trustDomain == domain
        else { throw .untrusted("it is of \(bundle.trustDomain), not of \(domain)") }
        let pinned = try bundle.pinned(pins)
        do throws(TrustError) { try welcome.check(by: pinned, verify) } catch {
            throw .untrusted("\(error)")
        }
        try checkClocks(joiner: now, introducer: welcome.content.issuedAt)
        let chain: [Certificate]
        do { chain = try ders.map { try Certificate(derEncoded: $0) } } catch {
            throw .untrusted("its certificate can't be read")
        }
        guard let own = chain.first, KeyPin(of: own) == key,
            let identity = CertificateNames(own).nodeIdentity(mesh: domain.mesh),
            identity.domain == domain, identity.node == node
        else { throw .untrusted("its certificate isn't for this node and its key") }
        self.identity = identity
        self.cluster = cluster
        self.chain = chain
        self.bundle = bundle
        clock = ClockDifference(own: now, other: welcome.content.issuedAt)
    }
}

/// The node's side. Keep its key before asking: the token is reserved for it.
public struct NodeJoiner: Sendable {
    public let token: JoinToken
    private let key: KeyPin
    private let signing: [UInt8]
    private var request: [UInt8]?

    /// - Parameter request: PKCS#10, signed by the node's key.
    public init(
        token: JoinToken, request: CertificateSigningRequest, now: UInt64
    ) throws(JoinRefusal) {
        guard token.subject.kind == .node
        else { throw .malformed("the token is for \(token.subject), not for a node") }
        try checkExpiry(of: token, now: now)
        self.token = token
        key = KeyPin(of: request.publicKey)
        var serializer = DER.Serializer()
        do { try serializer.serialize(request) } catch {
            throw .malformed("the certificate request")
        }
        signing = serializer.serializedBytes
    }

    /// See ``Joiner/request(channel:nonce:now:)``.
    public mutating func request(
        channel: JoinChannel, nonce: [UInt8], now: UInt64
    ) throws(TrustError) -> [UInt8] {
        let request = try JoinRequest(
            token: token, clock: now, nonce: nonce,
            body: .node(name: token.subject.name, request: signing), channel: channel)
        self.request = request.digest(on: channel)
        return request.encoded
    }

    /// - Throws: ``JoinRefusal``: nothing was obtained.
    public func receive(
        _ response: [UInt8], now: UInt64, verify: StatementVerifier
    ) throws(JoinRefusal) -> NodeWelcome {
        guard let request else { throw .malformed("an answer without a request") }
        let (welcome, _) = try JoinResponse(encoded: response).welcome(answering: request)
        return try NodeWelcome(
            welcome, of: token.issuer, roots: token.pins, node: token.subject.name,
            cluster: token.subject.cluster, key: key, now: now, verify: verify)
    }
}
