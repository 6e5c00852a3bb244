// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import SwiftASN1
import X509

/// The two ends of the connection that a join runs over: SHA-256 of the certificate, in DER, that the
/// introducing side presents in TLS. Each side takes what it sees itself, so that a proof made for one
/// connection is worth nothing on another, whoever terminates TLS in between.
public struct JoinChannel: Hashable, Sendable {
    let binding: [UInt8]

    /// - Parameter serverCertificate: DER: the joining side's view of the other's certificate, or
    ///   the introducing side's own.
    public init(serverCertificate: [UInt8]) { binding = sha256(serverCertificate) }
}

/// What a joining cluster or node asks for, proved by its token.
///
/// In network byte order: version, token's ID (8 bytes), the joiner's clock in seconds since 1970
/// (8), nonce (16), pins of the token, kind, then for a cluster its signed announcement, for a node its
/// name and a PKCS#10 request in DER; last the proof: an Ed25519 signature by the token's key over
/// everything before and the channel.
struct JoinRequest: Hashable, Sendable {
    static let version: UInt8 = 1
    static let nonceBytes = 16
    private static let context = Array("weft join request".utf8)

    enum Body: Hashable, Sendable {
        case cluster(SignedAnnouncement)
        case node(name: String, request: [UInt8])
    }

    let token: TokenID
    /// Seconds since 1970.
    let clock: UInt64
    let nonce: [UInt8]
    let pins: [KeyPin]
    let body: Body
    let proof: [UInt8]
    /// Everything but the proof.
    private let proved: [UInt8]

    init(
        token: JoinToken, clock: UInt64, nonce: [UInt8], body: Body, channel: JoinChannel
    ) throws(TrustError) {
        guard nonce.count == Self.nonceBytes
        else { throw .signingFailed("a nonce has \(Self.nonceBytes) bytes") }
        self.token = token.id
        self.clock = clock
        self.nonce = nonce
        pins = token.pins
        self.body = body
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(token.id.rawValue)
        writer.write(clock)
        writer.write(raw: nonce)
        writer.write(token.pins)
        switch body {
        case .cluster(let announcement):
            writer.write(TokenSubject.Kind.cluster.rawValue)
            announcement.encode(into: &writer)
        case .node(let name, let request):
            writer.write(TokenSubject.Kind.node.rawValue)
            writer.write(short: name)
            writer.write(field: request)
        }
        proved = writer.bytes
        proof = try token.secret.proof(
            of: Self.message(writer.bytes, channel), salt: token.id)
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(raw: proved)
        writer.write(field: proof)
        return writer.bytes
    }

    init(encoded: [UInt8]) throws(JoinRefusal) {
        guard encoded.count <= JoinLimit.requestBytes
        else { throw .malformed("a request of \(encoded.count) bytes") }
        guard let version = encoded.first else { throw .malformed("an empty request") }
        guard version == Self.version
        else { throw .unsupportedVersion(version, supported: Self.version) }
        do throws(DecodingFault) { try self.init(decoding: encoded) } catch {
            throw .malformed("the request: \(error)")
        }
    }

    private init(decoding bytes: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(bytes.dropFirst())
        token = TokenID(rawValue: try reader.read())
        clock = try reader.read()
        nonce = Array(try reader.read(raw: Self.nonceBytes))
        pins = try reader.readPins()
        switch TokenSubject.Kind(rawValue: try reader.read()) {
        case .cluster: body = .cluster(try Signed(from: &reader))
        case .node:
            body = .node(
                name: try reader.readShort("node name"),
                request: Array(
                    try reader.readField(max: JoinLimit.certificateRequestBytes, "request")))
        case nil: throw .invalid("kind")
        }
        proved = Array(bytes.prefix(bytes.count - reader.remaining))
        proof = Array(try reader.readField(max: 64, "proof"))
        try reader.finish()
    }

    func message(on channel: JoinChannel) -> [UInt8] { Self.message(proved, channel) }

    private static func message(_ proved: [UInt8], _ channel: JoinChannel) -> [UInt8] {
        context + channel.binding + proved
    }

    /// What the answer is bound to.
    func digest(on channel: JoinChannel) -> [UInt8] { sha256(message(on: channel) + proof) }

    /// What every request must pass before anything else about it is looked at.
    ///
    /// - Returns: the key to reserve the token for.
    /// - Parameters:
    ///   - keys: those that the joiner has proved as its own.
    ///   - own: what the answering cluster says of itself.
    func check(
        on channel: JoinChannel, subject: TokenSubject, keys: [KeyPin], own: ClusterDescription,
        book: TokenBook, now: UInt64
    ) throws(JoinRefusal) -> KeyPin {
        let holder = try book.check(
            token, proof: proof, of: message(on: channel), subject: subject, keys: keys,
            now: now)
        guard !Set(pins).isDisjoint(with: own.pins)
        else { throw .wrongPin(expected: pins, found: own.pins) }
        try checkClocks(joiner: clock, introducer: now)
        return holder
    }
}

/// - Throws: ``JoinRefusal/clockSkew(joiner:introducer:)`` above ``JoinLimit/clockToleranceSeconds``.
func checkClocks(joiner: UInt64, introducer: UInt64) throws(JoinRefusal) {
    let difference = max(joiner, introducer) - min(joiner, introducer)
    guard difference <= JoinLimit.clockToleranceSeconds
    else { throw .clockSkew(joiner: joiner, introducer: introducer) }
}

/// How far the other side's clock is ahead of this one.
public struct ClockDifference: Hashable, Sendable {
    /// Positive if the other side's is ahead.
    public let seconds: Int64
    /// Whether it is worth an alarm.
    public var isAlarming: Bool { seconds.magnitude > JoinLimit.clockAlarmSeconds }

    init(own: UInt64, other: UInt64) {
        seconds = Int64(clamping: max(own, other) - min(own, other)) * (other < own ? -1 : 1)
    }
}

extension TokenSubject.Kind {
    /// What a request asks for, from its first bytes; nil if it isn't one of this version.
    ///
    /// ``JoinIntroduction`` answers clusters and ``NodeIntroduction`` nodes; either refuses what isn't
    /// its own, and what can't be read.
    public init?(ofRequest bytes: [UInt8]) {
        var reader = ByteReader(bytes.prefix(33 + 4 + JoinLimit.roots * KeyPin.byteCount + 1))
        do throws(DecodingFault) {
            guard try reader.read(UInt8.self) == JoinRequest.version else { return nil }
            _ = try reader.read(raw: 8 + 8 + JoinRequest.nonceBytes)
            _ = try reader.readPins()
            self.init(rawValue: try reader.read())
        } catch {
            return nil
        }
    }
}
