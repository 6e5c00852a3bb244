// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import Glibc

/// What is wrong with a key, a certificate or a peer. Every description names the thing and says what
/// to do. An error while verifying refuses that peer; nothing else changes.
public enum TrustError: Error, Hashable, Sendable {
    /// The mesh name is no RFC 1123 subdomain, or too long together with the cluster's name.
    case invalidMesh(String)
    case invalidNode(String)

    /// A system call on a key file or its directory failed; the previous file stays as it was.
    case file(operation: String, path: String, errno: Int32)
    /// A key is never overwritten by creating another.
    case alreadyExists(path: String)
    /// A key or its directory can be read or changed by somebody else. Nothing was loaded.
    case exposed(path: String, mode: UInt32, required: UInt32)
    case wrongOwner(path: String, owner: UInt32)
    /// The file isn't what it should be: not PEM, no key, a key that isn't the certificate's.
    case unusableFile(path: String, reason: String)

    /// A certificate request whose signature or key is unacceptable. Nothing was issued.
    case invalidRequest(String)
    /// The clock is outside the issuer's own validity. Nothing was issued.
    case issuerNotValid(notBefore: Date, notAfter: Date, now: Date)
    /// Something was issued more than a minute later than this clock says. Nothing was issued.
    case clockWentBack(last: Date, now: Date)
    /// More than an authority makes at a time. Nothing was issued; ask again later.
    case tooManyRequests(retryAfterSeconds: Double)
    /// The root ends too soon for another intermediate. Nothing was issued.
    case rootEnds(Date)
    /// The root's key isn't on this machine. Nothing was issued.
    case rootKeyAbsent(path: String)
    /// The node is to have an intermediate of its own, and waits for the home's answer.
    case noAuthority
    case signingFailed(String)
    case invalidBundle(domain: String, reason: String)

    /// The peer presented none.
    case noCertificate
    /// More than ``PeerVerifier/chainLengthMaximum`` certificates.
    case chainTooLong(count: Int)
    /// More than ``PeerVerifier/certificateBytesMaximum`` bytes.
    case certificateTooLarge(bytes: Int)
    case malformedCertificate(String)
    /// The certificate breaks the profile of node certificates.
    case unsuitable(certificate: String, reason: String)
    /// No bundle is configured for the peer's trust domain.
    case foreignTrustDomain(String)
    case expired(certificate: String, notAfter: Date, now: Date)
    case notYetValid(certificate: String, notBefore: Date, now: Date)
    /// No path to an anchor of the peer's own trust domain.
    case untrusted(certificate: String, reason: String)
    /// The path is good, but it was revoked.
    case denied(certificate: String, reason: String)
    /// Not signed by whom it should be, or its signature cannot be read.
    case invalidStatement(String)
}

extension TrustError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .invalidMesh(let mesh):
            "mesh name '\(mesh)' must be lower-case DNS labels of [a-z0-9-] joined by dots, at most "
                + "253 characters with the cluster's name in front"
        case .invalidNode(let node):
            "node name '\(node)' must be lower-case DNS labels of [a-z0-9-] joined by dots"
        case .file(let operation, let path, let code):
            "cannot \(operation) \(path): \(String(cString: strerror(code)))"
        case .alreadyExists(let path):
            "\(path) exists already and is never overwritten: move it away first if it is no longer needed"
        case .exposed(let path, let mode, let required):
            "\(path) has mode \(octal(mode)), others can reach it: run 'chmod \(octal(required)) \(path)', "
                + "and replace the key if others may have read it"
        case .wrongOwner(let path, let owner):
            "\(path) belongs to user \(owner), who could change it: run 'chown \(geteuid()) \(path)'"
        case .unusableFile(let path, let reason):
            "\(path) is unusable: \(reason)"
        case .invalidRequest(let reason):
            "certificate request refused: \(reason)"
        case .issuerNotValid(let notBefore, let notAfter, let now):
            "the authority's certificate is valid from \(text(notBefore)) to \(text(notAfter)) but this "
                + "clock says \(text(now)): correct the clock, or renew the authority"
        case .clockWentBack(let last, let now):
            "this clock says \(text(now)), but the authority issued something at \(text(last)): correct "
                + "the clock, or wait"
        case .tooManyRequests(let seconds):
            "the authority issues no more than \(Int(IssueBudget.perSecond)) certificates a second: try "
                + "again in \(max(1, Int(seconds.rounded(.up)))) s"
        case .rootEnds(let notAfter):
            "the root ends at \(text(notAfter)), too soon for another intermediate: rotate the root"
        case .rootKeyAbsent(let path):
            "\(path) isn't here: request an intermediate ('weft ca request', for a rotation with --next) and have it signed where the root's key is"
        case .noAuthority:
            "this node has no intermediate yet: it asks the cluster's home for one"
        case .signingFailed(let reason):
            "signing failed: \(reason)"
        case .invalidBundle(let domain, let reason):
            "bundle of \(domain) is unusable: \(reason); fetch it again from that cluster's authority"
        case .noCertificate:
            "the peer presented no certificate: give it one with its cluster's authority"
        case .chainTooLong(let count):
            "the peer presented \(count) certificates, at most \(PeerVerifier.chainLengthMaximum) are read"
        case .certificateTooLarge(let bytes):
            "the peer presented a certificate of \(bytes) bytes, at most "
                + "\(PeerVerifier.certificateBytesMaximum) are read"
        case .malformedCertificate(let reason):
            "the peer's certificate cannot be parsed: \(reason)"
        case .unsuitable(let certificate, let reason):
            "certificate of \(certificate) \(reason): issue it again with its cluster's authority"
        case .foreignTrustDomain(let domain):
            "trust domain \(domain) is unknown: add the bundle of that cluster's authority to the peers, "
                + "or take its address out"
        case .expired(let certificate, let notAfter, let now):
            "certificate of \(certificate) expired at \(text(notAfter)), this clock says \(text(now)): "
                + "renew it, or correct the clock that is wrong"
        case .notYetValid(let certificate, let notBefore, let now):
            "certificate of \(certificate) is valid from \(text(notBefore)) but this clock says "
                + "\(text(now)): the clock here is behind or its issuer's is ahead, correct it"
        case .untrusted(let certificate, let reason):
            "certificate of \(certificate) isn't signed by that cluster's authority as known here "
                + "(\(reason)): update the cluster's bundle if its root was rotated"
        case .denied(let certificate, let reason):
            "certificate of \(certificate) is revoked (\(reason)): issue another one if that is in error"
        case .invalidStatement(let reason):
            "statement refused: \(reason)"
        }
    }

    private func octal(_ mode: UInt32) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private func text(_ date: Date) -> String { date.ISO8601Format() }
}
