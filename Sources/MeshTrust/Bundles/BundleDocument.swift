// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import X509

/// A trust domain's roots in the format of SPIFFE: a JSON Web Key Set with a sequence.
///
/// Roots have keys on P-256, P-384 or P-521; entries of other kinds are read over.
///
/// - SeeAlso: SPIFFE_Trust_Domain_and_Bundle.md §4, SPIFFE_Federation.md §4.1.
public struct BundleDocument: Hashable, Sendable {
    public static let bytesMaximum = 64 * 1024
    /// How often peers that poll should ask, in seconds.
    public static let defaultRefreshHintSeconds: UInt32 = 300
    /// Signed 64-bit at most, for readers with such integers.
    public static let sequenceMaximum = UInt64(Int64.max)

    /// Greater in every later document whose content differs.
    public let sequence: UInt64
    public let refreshHintSeconds: UInt32
    /// 0...8 CA certificates; none means that the trust domain is revoked and all its peers refused.
    public let roots: [Certificate]

    public init(
        sequence: UInt64, roots: [Certificate],
        refreshHintSeconds: UInt32 = Self.defaultRefreshHintSeconds
    ) {
        self.sequence = sequence
        self.roots = roots
        self.refreshHintSeconds = refreshHintSeconds
    }

    private struct KeySet: Codable {
        var keys: [BundleKey]
        var sequence: UInt64
        var refreshHint: UInt32?

        enum CodingKeys: String, CodingKey {
            case keys
            case sequence = "spiffe_sequence"
            case refreshHint = "spiffe_refresh_hint"
        }
    }

    /// Reads a document as the format asks of a consumer: entries of an unknown `kty` or `use` and
    /// entries without `x5c` are ignored, of several `x5c` values the first counts.
    ///
    /// The sequence, optional there, is required here: without it nobody could refuse an older one.
    ///
    /// - Throws: ``StatementRefusal/malformed(_:)``: keep the previous bundle.
    public init(json: [UInt8]) throws(StatementRefusal) {
        guard json.count <= Self.bytesMaximum
        else { throw .malformed("the bundle has more than \(Self.bytesMaximum) bytes") }
        let set: KeySet
        do { set = try JSONDecoder().decode(KeySet.self, from: Data(json)) } catch {
            throw .malformed("the bundle isn't a JSON Web Key Set with a spiffe_sequence")
        }
        guard set.sequence <= Self.sequenceMaximum
        else { throw .malformed("the bundle's sequence exceeds \(Self.sequenceMaximum)") }
        var roots: [Certificate] = []
        for key in set.keys {
            guard let root = try key.certificate(), !roots.contains(root) else { continue }
            roots.append(root)
        }
        guard roots.count <= TrustBundle.anchorsMaximum else {
            throw .malformed(
                "the bundle has \(roots.count) roots, at most \(TrustBundle.anchorsMaximum) are read"
            )
        }
        self.init(
            sequence: set.sequence, roots: roots,
            refreshHintSeconds: set.refreshHint ?? Self.defaultRefreshHintSeconds)
    }

    /// The document in JSON; the same document gives the same bytes.
    ///
    /// - Throws: ``TrustError/signingFailed(_:)`` for a root whose key can't be written.
    public func json() throws(TrustError) -> [UInt8] {
        var keys: [BundleKey] = []
        for root in roots {
            guard let key = try BundleKey(root) else {
                throw .signingFailed("a root in a bundle needs a key on P-256, P-384 or P-521")
            }
            keys.append(key)
        }
        let set = KeySet(
            keys: keys, sequence: sequence, refreshHint: refreshHintSeconds)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Array(try encoder.encode(set)) } catch {
            throw .signingFailed("a bundle can't be written")
        }
    }

    /// The roots as anchors of `domain`; nil when it is revoked.
    ///
    /// - Throws: ``StatementRefusal/malformed(_:)`` when a root is no CA certificate of `domain`.
    public func bundle(of domain: TrustDomain) throws(StatementRefusal) -> TrustBundle? {
        if roots.isEmpty { return nil }
        do { return try TrustBundle(trustDomain: domain, pem: pemText(roots)) } catch {
            throw .malformed("\(error)")
        }
    }
}
