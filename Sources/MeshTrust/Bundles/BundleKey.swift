// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// One entry of a bundle's JSON Web Key Set.
///
/// - SeeAlso: SPIFFE X509-SVID.md §6.2, RFC 7517 §4, RFC 7518 §6.2.
struct BundleKey: Codable {
    static let use = "x509-svid"
    static let keyType = "EC"

    var kty: String?
    var use: String?
    var crv: String?
    var x: String?
    var y: String?
    /// Standard base64 of DER, not base64url.
    var x5c: [String]?

    private enum CodingKeys: CodingKey { case kty, use, crv, x, y, x5c }

    /// Nil for a key that is on none of the curves P-256, P-384 and P-521.
    init?(_ certificate: Certificate) throws(TrustError) {
        guard let point = CurvePoint(certificate.publicKey) else { return nil }
        kty = Self.keyType
        use = Self.use
        crv = point.curve
        x = base64URL(point.x)
        y = base64URL(point.y)
        x5c = [base64(try certificate.der())]
    }

    /// Of a key that isn't for us nothing but its kind is read: its members may be of any type.
    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        kty = try? values.decodeIfPresent(String.self, forKey: .kty)
        use = try? values.decodeIfPresent(String.self, forKey: .use)
        guard kty == Self.keyType, use == Self.use else { return }
        crv = try values.decodeIfPresent(String.self, forKey: .crv)
        x = try values.decodeIfPresent(String.self, forKey: .x)
        y = try values.decodeIfPresent(String.self, forKey: .y)
        x5c = try values.decodeIfPresent([String].self, forKey: .x5c)
    }

    /// The certificate in it; nil when the entry is to be ignored.
    ///
    /// - Throws: ``StatementRefusal/malformed(_:)`` for an entry that claims to hold one but doesn't,
    ///   or one of another key than the entry says (RFC 7517 §4.7).
    func certificate() throws(StatementRefusal) -> Certificate? {
        guard kty == Self.keyType, use == Self.use, let encoded = x5c?.first else { return nil }
        guard let der = Data(base64Encoded: encoded),
            let certificate = try? Certificate(derEncoded: Array(der))
        else { throw .malformed("an x5c value of the bundle is no certificate") }
        guard let point = CurvePoint(certificate.publicKey), crv == nil || crv == point.curve,
            x == nil || x == base64URL(point.x), y == nil || y == base64URL(point.y)
        else { throw .malformed("a certificate of the bundle isn't of the key it stands beside") }
        return certificate
    }
}

/// An elliptic curve key as JSON Web Keys write it.
private struct CurvePoint {
    let curve: String
    let x: ArraySlice<UInt8>
    let y: ArraySlice<UInt8>

    init?(_ key: Certificate.PublicKey) {
        let raw: [UInt8]
        if let key = P256.Signing.PublicKey(key) {
            (curve, raw) = ("P-256", Array(key.rawRepresentation))
        } else if let key = P384.Signing.PublicKey(key) {
            (curve, raw) = ("P-384", Array(key.rawRepresentation))
        } else if let key = P521.Signing.PublicKey(key) {
            (curve, raw) = ("P-521", Array(key.rawRepresentation))
        } else {
            return nil
        }
        x = raw.prefix(raw.count / 2)
        y = raw.suffix(raw.count / 2)
    }
}
