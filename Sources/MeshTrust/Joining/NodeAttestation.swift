// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshModel
import X509

/// What a node asks for with a token of the platform that it runs on, instead of one that an operator
/// made: whose it is, the platform says.
///
/// In network byte order: version, the node's clock in seconds since 1970 (8), nonce (16), its name, a
/// PKCS#10 request in DER, the token. The token proves itself to whoever gets it, so it is sent only
/// to a server whose certificates lead to a root that the node knows.
struct AttestedRequest: Hashable, Sendable {
    /// One more than ``JoinRequest/version``: a home from before it says that it doesn't know it.
    static let version: UInt8 = 2
    private static let context = Array("weft attested request".utf8)

    /// Seconds since 1970.
    let clock: UInt64
    let nonce: [UInt8]
    let node: String
    let request: [UInt8]
    let token: BearerToken

    init(clock: UInt64, nonce: [UInt8], node: String, request: [UInt8], token: BearerToken) {
        self.clock = clock
        self.nonce = nonce
        self.node = node
        self.request = request
        self.token = token
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(clock)
        writer.write(raw: nonce)
        writer.write(short: node)
        writer.write(field: request)
        writer.write(field: Array(token.exposed.utf8))
        return writer.bytes
    }

    init(encoded: [UInt8]) throws(JoinRefusal) {
        guard encoded.count <= JoinLimit.requestBytes
        else { throw .malformed("a request of \(encoded.count) bytes") }
        guard encoded.first == Self.version
        else { throw .unsupportedVersion(encoded.first ?? 0, supported: Self.version) }
        do throws(DecodingFault) { try self.init(decoding: encoded.dropFirst()) } catch {
            throw .malformed("the request: \(error)")
        }
    }

    private init(decoding bytes: ArraySlice<UInt8>) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        clock = try reader.read()
        nonce = Array(try reader.read(raw: JoinRequest.nonceBytes))
        node = try reader.readShort("node name")
        request = Array(try reader.readField(max: JoinLimit.certificateRequestBytes, "request"))
        let text = String(
            decoding: try reader.readField(max: JoinLimit.bearerTokenBytes, "token"),
            as: UTF8.self)
        guard let token = BearerToken(text), token.exposed == text else { throw .invalid("token") }
        self.token = token
        try reader.finish()
    }

    /// What the answer is bound to.
    static func digest(of encoded: [UInt8], on channel: JoinChannel) -> [UInt8] {
        sha256(context + channel.binding + encoded)
    }
}

/// The authority's side of giving a node its first certificate for a platform's token:
///
/// 1. ``open(_:channel:source:limiter:clock:now:)`` reads what can be judged here.
/// 2. The authority asks the platform whose ``token`` is, and compares that with ``node``.
/// 3. It certifies ``request``; ``response(chain:bundle:now:signers:)`` is the answer.
public struct NodeAttestation: Sendable {
    public let node: String
    public let token: BearerToken
    /// PKCS#10 in DER, signed by its own key.
    public let request: [UInt8]
    /// Of the node's clock.
    public let clock: ClockDifference
    private let digest: [UInt8]

    /// Whether it is for this type to answer, by its first byte.
    public static func isOne(_ request: [UInt8]) -> Bool {
        request.first == AttestedRequest.version
    }

    /// - Parameters:
    ///   - clock: seconds of a clock that doesn't jump.
    ///   - now: seconds since 1970.
    /// - Throws: ``JoinRefusal``: answer with ``JoinIntroduction/refusal(_:)``.
    public static func open(
        _ bytes: [UInt8], channel: JoinChannel, source: Address, limiter: inout TryLimiter,
        clock: UInt64, now: UInt64
    ) throws(JoinRefusal) -> NodeAttestation {
        try limiter.count(from: source, at: clock)
        let request = try AttestedRequest(encoded: bytes)
        guard isSubdomain(request.node) else { throw .malformed("the node's name") }
        try checkClocks(joiner: request.clock, introducer: now)
        let signing = try certificateRequest(request.request)
        guard signing.publicKey.isValidSignature(signing.signature, for: signing)
        else { throw .malformed("the certificate request isn't signed by its own key") }
        return NodeAttestation(
            node: request.node, token: request.token, request: request.request,
            clock: ClockDifference(own: now, other: request.clock),
            digest: AttestedRequest.digest(of: bytes, on: channel))
    }

    /// - Parameters:
    ///   - chain: DER, the node's certificate first, without the root.
    ///   - bundle: the own cluster's.
    public func response(
        chain: [[UInt8]], bundle: TrustBundle, now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> [UInt8] {
        try JoinWelcome.answer(
            digest, .node(chain: chain, bundle: bundle), now: now, signers: signers)
    }
}

/// The node's side.
public struct AttestedJoiner: Sendable {
    private let identity: PeerIdentity
    private let cluster: ClusterID
    private let bundle: TrustBundle
    private let key: NodeKey
    private var digest: [UInt8]?

    /// - Parameters:
    ///   - identity: of the node that asks.
    ///   - bundle: roots of its cluster.
    ///   - key: keep it before asking.
    public init(
        identity: PeerIdentity, cluster: ClusterID, bundle: TrustBundle, key: NodeKey
    ) {
        self.identity = identity
        self.cluster = cluster
        self.bundle = bundle
        self.key = key
    }

    /// The connection to whoever presents these certificates, if that is one of the own cluster's
    /// nodes that may hold its authority: nobody else gets the token.
    ///
    /// - Parameters:
    ///   - presented: DER; leaf first, root last.
    ///   - authorities: names of those nodes.
    /// - Throws: ``TrustError``: nothing was sent.
    public func channel(
        presented: [[UInt8]], authorities: Set<String>, now: Date
    ) throws(TrustError) -> JoinChannel {
        let roots = Set(try bundle.anchorsDER())
        let peer = try PeerVerifier(store: TrustStore([bundle]))
            .verify(presented: presented.filter { !roots.contains($0) }, now: now).peer
        guard peer.domain == identity.domain, authorities.contains(peer.node) else {
            throw .untrusted(
                certificate: "\(peer)", reason: "it isn't of a node that holds the authority")
        }
        guard let leaf = presented.first else { throw .noCertificate }
        return JoinChannel(serverCertificate: leaf)
    }

    public mutating func request(
        token: BearerToken, channel: JoinChannel, nonce: [UInt8], now: UInt64
    ) throws(TrustError) -> [UInt8] {
        guard nonce.count == JoinRequest.nonceBytes
        else { throw .signingFailed("a nonce has \(JoinRequest.nonceBytes) bytes") }
        let request = AttestedRequest(
            clock: now, nonce: nonce, node: identity.node, request: try key.request(), token: token
        ).encoded
        digest = AttestedRequest.digest(of: request, on: channel)
        return request
    }

    /// - Throws: ``JoinRefusal``: nothing was obtained.
    public func receive(
        _ response: [UInt8], now: UInt64, verify: StatementVerifier
    ) throws(JoinRefusal) -> NodeWelcome {
        guard let digest else { throw .malformed("an answer without a request") }
        let (welcome, _) = try JoinResponse(encoded: response).welcome(answering: digest)
        return try NodeWelcome(
            welcome, of: identity.domain, roots: bundle.anchors.map { KeyPin(of: $0) },
            node: identity.node, cluster: cluster, key: KeyPin(of: key.privateKey.publicKey),
            now: now, verify: verify)
    }
}
