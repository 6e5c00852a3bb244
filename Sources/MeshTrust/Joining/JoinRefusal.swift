// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Why a cluster can't join another, or a node its cluster. Whichever side says so, neither has
/// changed anything; the same token works again once the reason is gone, unless the token is the
/// reason. None holds anything secret.
public enum JoinRefusal: Error, Hashable, Sendable {
    // The token.
    /// The check digits don't fit, or it isn't a token.
    case mistypedToken
    case malformedAddress
    case unknownToken(TokenID)
    case expiredToken(expiresAt: UInt64, now: UInt64)
    /// Somebody else has used it, or has begun to.
    case usedToken(TokenID)
    case tokenForOther(TokenSubject, presented: TokenSubject)
    /// The proof fails: another secret, or other ends of the connection than the two of the token.
    case notProven
    /// The platform's token doesn't make the node that asks; a sentence without the token.
    case notAttested(String)

    // The other side.
    /// The other side's root isn't the one in the token.
    case wrongPin(expected: [KeyPin], found: [KeyPin])
    /// Its answer isn't signed as it should be.
    case untrusted(String)
    case otherMesh(own: String, other: String)
    case itself(ClusterName)
    /// Seconds since 1970.
    case clockSkew(joiner: UInt64, introducer: UInt64)

    // The mesh.
    case duplicateName(ClusterName)
    case duplicateID(ClusterID, holder: ClusterName)
    case overlappingAddresses(own: Prefix, other: Prefix, holder: ClusterName)

    // The conversation.
    case tooManyTries(retryAfterSeconds: UInt32)
    case unsupportedVersion(UInt8, supported: UInt8)
    case malformed(String)
    /// The introducing side failed. The reason is for its own log and isn't told to the other.
    case failed(String)
}

extension JoinRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .mistypedToken:
            "this is no join token, or a character is wrong or missing: copy the whole line that 'weft join token' printed"
        case .malformedAddress:
            "a join needs TOKEN@ADDRESS:PORT, such as TOKEN@192.0.2.1:4790 or TOKEN@[2001:db8::1]:4790"
        case .unknownToken(let id):
            "token \(id) isn't known there: use the address of the cluster that made it, or make a new one"
        case .expiredToken(let expiresAt, let now):
            "the token expired at \(clockText(expiresAt)), the clock there says \(clockText(now)): make a new one"
        case .usedToken(let id):
            "token \(id) has been used by another key: make a new one, and find out who used it if it wasn't you"
        case .tokenForOther(let subject, let presented):
            "the token is for \(subject), not for \(presented): make one for the latter"
        case .notProven:
            "the token doesn't prove itself on this connection: it was altered, or somebody stands between; connect directly and make a new one"
        case .notAttested(let reason):
            "this node's service account doesn't get it a certificate: \(reason)"
        case .wrongPin(let expected, let found):
            "the cluster at this address has root \(pins(found)), the token names \(pins(expected)): check the address; if it is right, somebody stands between, or the root was replaced since"
        case .untrusted(let reason):
            "the answer isn't signed by the authority that it names (\(reason)): check the address and try again"
        case .otherMesh(let own, let other):
            "this is a cluster of mesh '\(own)', that of mesh '\(other)': a cluster belongs to one; configure the same mesh on both"
        case .itself(let name):
            "cluster '\(name)' made this token itself: use it on the other cluster"
        case .clockSkew(let joiner, let introducer):
            "the clocks differ by \(difference(joiner, introducer)) s, at most \(JoinLimit.clockToleranceSeconds) are possible: the joining one says \(clockText(joiner)), the introducing one \(clockText(introducer)); correct the one that is wrong"
        case .duplicateName(let name):
            "a cluster named '\(name)' with another root is in the mesh: give one of them another name; if it was installed anew, run 'weft cluster forget \(name)' there first"
        case .duplicateID(let id, let holder):
            "ID \(id) belongs to cluster '\(holder)': give the joining cluster another ID, and make a token for that"
        case .overlappingAddresses(let own, let other, let holder):
            "pod prefix \(own) of the joining cluster overlaps \(other) of cluster '\(holder)': clusters need separate addresses"
        case .tooManyTries(let seconds):
            "too many tries: wait \(seconds) s"
        case .unsupportedVersion(let version, let supported):
            "version \(version) of joining is unknown, this side speaks \(supported): run the same version of weft on both"
        case .malformed(let reason):
            "what arrived can't be read (\(reason)): run the same version of weft on both sides"
        case .failed(""):
            "the introducing cluster couldn't finish: its log says why; try again with the same token"
        case .failed(let reason):
            "the newcomer couldn't be admitted (\(reason)): correct that, then repeat the join with the same token"
        }
    }

    private func pins(_ pins: [KeyPin]) -> String {
        pins.isEmpty ? "none" : pins.map(\.short).joined(separator: " or ")
    }

    private func difference(_ one: UInt64, _ other: UInt64) -> UInt64 {
        max(one, other) - min(one, other)
    }
}
