// SPDX-License-Identifier: Apache-2.0

import MeshModel
import X509

/// The signed part of an answer: it is bound to one request on one connection.
struct JoinWelcome: StatementContent {
    static let context = "weft join welcome"

    enum Body: Hashable, Sendable {
        /// `statements`: SHA-256 of the statements that go with it.
        case cluster(SignedAnnouncement, founder: ClusterName, statements: [UInt8])
        /// `chain` in DER, the node's own first.
        case node(chain: [[UInt8]], bundle: TrustBundle)
    }

    /// See ``JoinRequest/digest(on:)``.
    let request: [UInt8]
    /// The introducing side's clock.
    let issuedAt: UInt64
    let body: Body

    init(request: [UInt8], issuedAt: UInt64, body: Body) {
        self.request = request
        self.issuedAt = issuedAt
        self.body = body
    }

    func encode(into writer: inout ByteWriter) throws(TrustError) {
        writer.write(raw: request)
        writer.write(issuedAt)
        switch body {
        case .cluster(let announcement, let founder, let statements):
            writer.write(TokenSubject.Kind.cluster.rawValue)
            announcement.encode(into: &writer)
            writer.write(short: founder.rawValue)
            writer.write(raw: statements)
        case .node(let chain, let bundle):
            writer.write(TokenSubject.Kind.node.rawValue)
            writer.write(list: chain) { $0.write(field: $1) }
            writer.write(short: bundle.trustDomain.cluster.rawValue)
            writer.write(short: bundle.trustDomain.mesh)
            try writer.write(bundle)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        request = Array(try reader.read(raw: 32))
        issuedAt = try reader.read()
        switch TokenSubject.Kind(rawValue: try reader.read()) {
        case .cluster:
            body = .cluster(
                try Signed(from: &reader), founder: try reader.readClusterName(),
                statements: Array(try reader.read(raw: 32)))
        case .node:
            let chain = try reader.readList(max: JoinLimit.chain, "chain") {
                reader throws(DecodingFault) in
                Array(
                    try reader.readField(max: PeerVerifier.certificateBytesMaximum, "certificate"))
            }
            let cluster = try reader.readClusterName()
            let mesh = try reader.readMesh()
            body = .node(
                chain: chain,
                bundle: try reader.readBundle(
                    cluster: cluster, mesh: mesh, max: TrustBundle.anchorsMaximum))
        case nil: throw .invalid("kind")
        }
    }
}

/// An answer: version, then a refusal, or a welcome and the statements that go with it.
struct JoinResponse: Hashable, Sendable {
    static let version: UInt8 = 1

    enum Result: Hashable, Sendable {
        case refused(JoinRefusal)
        /// Statements are read one by one, and not before it is known whose they are: what a later
        /// version adds doesn't keep anybody out.
        case welcome(Signed<JoinWelcome>, statements: [[UInt8]])
    }

    let result: Result

    init(_ result: Result) { self.result = result }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        switch result {
        case .refused(let refusal):
            writer.write(UInt8(0))
            refusal.encode(into: &writer)
        case .welcome(let welcome, let statements):
            writer.write(UInt8(1))
            welcome.encode(into: &writer)
            writer.write(raw: Self.encode(statements))
        }
        return writer.bytes
    }

    static func encode(_ statements: [[UInt8]]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(list: statements) { $0.write(field: $1) }
        return writer.bytes
    }

    init(encoded: [UInt8]) throws(JoinRefusal) {
        guard encoded.count <= JoinLimit.responseBytes
        else { throw .malformed("an answer of \(encoded.count) bytes") }
        guard let version = encoded.first else { throw .malformed("an empty answer") }
        guard version == Self.version
        else { throw .unsupportedVersion(version, supported: Self.version) }
        do throws(DecodingFault) { result = try Self.decode(encoded.dropFirst()) } catch {
            throw .malformed("the answer: \(error)")
        }
    }

    private static func decode(_ bytes: ArraySlice<UInt8>) throws(DecodingFault) -> Result {
        var reader = ByteReader(bytes)
        guard try reader.readBool() else {
            return .refused(try JoinRefusal(from: &reader))
        }
        let welcome = try Signed<JoinWelcome>(from: &reader)
        let statements = try reader.readList(max: JoinLimit.statements, "statements") {
            reader throws(DecodingFault) in
            Array(try reader.readField(max: JoinLimit.encodedStatementBytes, "statement"))
        }
        try reader.finish()
        return .welcome(welcome, statements: statements)
    }

    /// The welcome, once it is known whose it is.
    ///
    /// - Parameter digest: of the request that this answers.
    func welcome(answering digest: [UInt8]) throws(JoinRefusal) -> (
        Signed<JoinWelcome>, [[UInt8]]
    ) {
        switch result {
        case .refused(let refusal): throw refusal
        case .welcome(let welcome, let statements):
            guard welcome.content.request == digest
            else { throw .untrusted("it answers another request") }
            return (welcome, statements)
        }
    }
}

extension TrustBundle {
    /// Only the roots that a token names.
    func pinned(_ pins: [KeyPin]) throws(JoinRefusal) -> TrustBundle {
        let roots = anchors.filter { pins.contains(KeyPin(of: $0)) }
        guard !roots.isEmpty else {
            throw .wrongPin(expected: pins, found: anchors.map { KeyPin(of: $0) })
        }
        do throws(TrustError) {
            return try TrustBundle(trustDomain: trustDomain, pem: pemText(roots))
        } catch {
            throw .untrusted("\(error)")
        }
    }
}
