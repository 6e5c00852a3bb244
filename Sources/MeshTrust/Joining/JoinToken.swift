// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The name of a token, which is no secret: 64 random bits.
public struct TokenID: RawRepresentable, Hashable, Comparable, Sendable, Codable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: rawValue >> (56 - 8 * $0)) } }

    public static func < (left: TokenID, right: TokenID) -> Bool { left.rawValue < right.rawValue }
}

extension TokenID: LosslessStringConvertible {
    /// 16 hexadecimal digits.
    public init?(_ text: String) {
        guard text.utf8.count == 16, text.allSatisfy(\.isHexDigit),
            let value = UInt64(text, radix: 16)
        else { return nil }
        rawValue = value
    }

    public var description: String { hexadecimal(bytes) }
}

/// What a person carries from one cluster to another, or to a new node, once.
///
/// Its ``text`` is `weft1-` and base 32 of: kind, name and ID it is bound to; the token's ID, 8 bytes;
/// secret, 16 bytes; 64-bit expiry in seconds since 1970; name and mesh of the cluster that made it;
/// SHA-256 of the public keys of its roots; 4 bytes of a checksum. Numbers are in network byte order, a
/// later version may append before the checksum.
public struct JoinToken: Hashable, Sendable {
    public static let version: UInt8 = 1
    static let prefix = "weft"
    static let textMaximum = 1024
    static let checkBytes = 4

    public let id: TokenID
    public let subject: TokenSubject
    /// The cluster that made it.
    public let issuer: TrustDomain
    /// 1...4 keys of its roots.
    public let pins: [KeyPin]
    /// Seconds since 1970.
    public let expiresAt: UInt64
    let secret: JoinSecret

    init(
        id: TokenID, subject: TokenSubject, issuer: TrustDomain, pins: [KeyPin],
        expiresAt: UInt64, secret: JoinSecret
    ) {
        self.id = id
        self.subject = subject
        self.issuer = issuer
        self.pins = pins
        self.expiresAt = expiresAt
        self.secret = secret
    }

    /// The secret's only way out: for the person who asked for the token, never for a log.
    public var text: String {
        let payload = payload
        return "\(Self.prefix)\(Self.version)-" + Base32.encode(payload + Self.check(payload))
    }

    private var payload: [UInt8] {
        var writer = ByteWriter()
        subject.encode(into: &writer)
        writer.write(id.rawValue)
        writer.write(raw: secret.exposed)
        writer.write(expiresAt)
        writer.write(short: issuer.cluster.rawValue)
        writer.write(short: issuer.mesh)
        writer.write(UInt8(pins.count))
        for pin in pins { writer.write(raw: pin.bytes) }
        return writer.bytes
    }

    fileprivate static func check(_ payload: some Sequence<UInt8>) -> [UInt8] {
        Array(sha256(Array("weft join token check".utf8) + payload).prefix(checkBytes))
    }

    /// - Throws: ``JoinRefusal/unsupportedVersion(_:supported:)`` or ``JoinRefusal/mistypedToken``;
    ///   neither quotes the text.
    public init(parsing text: some StringProtocol) throws(JoinRefusal) {
        guard text.utf8.count <= Self.textMaximum, let dash = text.firstIndex(of: "-"),
            text[..<dash].lowercased().hasPrefix(Self.prefix),
            let version = UInt8(text[..<dash].dropFirst(Self.prefix.count))
        else { throw .mistypedToken }
        guard version == Self.version
        else { throw .unsupportedVersion(version, supported: Self.version) }
        guard let bytes = Base32.decode(text[text.index(after: dash)...]),
            bytes.count > Self.checkBytes,
            Self.check(bytes.dropLast(Self.checkBytes)) == bytes.suffix(Self.checkBytes)
        else { throw .mistypedToken }
        do throws(DecodingFault) {
            self = try JoinToken(payload: bytes.dropLast(Self.checkBytes))
        } catch {
            throw .malformed("the token: \(error)")
        }
    }

    private init(payload: some Sequence<UInt8>) throws(DecodingFault) {
        var reader = ByteReader(payload)
        subject = try TokenSubject(from: &reader)
        id = TokenID(rawValue: try reader.read())
        secret = JoinSecret(try reader.read(raw: JoinSecret.byteCount))
        expiresAt = try reader.read()
        let cluster = try reader.readClusterName()
        let mesh = try reader.readMesh()
        do throws(TrustError) { issuer = try TrustDomain(cluster: cluster, mesh: mesh) } catch {
            throw .invalid("mesh")
        }
        let count = Int(try reader.read(UInt8.self))
        guard (1...JoinLimit.roots).contains(count) else { throw .invalid("pins") }
        var pins: [KeyPin] = []
        for _ in 0..<count { pins.append(try reader.readPin()) }
        self.pins = pins
    }
}

extension JoinToken: CustomStringConvertible, CustomDebugStringConvertible {
    /// Without the secret.
    public var description: String {
        "token \(id) of \(issuer) for \(subject) until \(clockText(expiresAt))"
    }
    public var debugDescription: String { description }
}

/// `TOKEN@address`, as `weft join` takes it.
public struct JoinTarget: Hashable, Sendable {
    public let token: JoinToken
    public let address: ClusterAddress

    /// - Throws: ``JoinRefusal``, which never quotes the text.
    public init(parsing text: String) throws(JoinRefusal) {
        guard let at = text.lastIndex(of: "@") else { throw .malformedAddress }
        token = try JoinToken(parsing: text[..<at])
        guard let address = ClusterAddress(String(text[text.index(after: at)...]))
        else { throw .malformedAddress }
        self.address = address
    }
}
