// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import X509

/// The key that follows an authority's present one, while a ``Rotation`` replaces it.
///
/// Three folders, of which only the first is there between rotations: the authority's own holds what
/// signs, `next` below it what will, `former` what did. Every step may be repeated, and killed in any
/// of them the next call completes it.
extension CertificateAuthority {
    static let nextFolder = "next"
    static let formerFolder = "former"

    /// The authority to go on with after the change, made now unless it is there already.
    ///
    /// Where the root's key is elsewhere, a new root is made there, too, with the request that
    /// ``requestIntermediate(cluster:mesh:in:areNamesConstrained:)`` puts into ``successorDirectory``;
    /// the new intermediate is installed there.
    ///
    /// - Parameter kind: a new root has a new intermediate below it.
    /// - Throws: ``TrustError``: there is none. ``TrustError/rootKeyAbsent(path:)`` until somebody
    ///   has installed what only he can make.
    public func makeSuccessor(
        _ kind: RotationKind, now: Date = Date()
    ) throws(TrustError) -> CertificateAuthority {
        if let present = try successor() {
            // Somebody else made it, if the root's key is elsewhere.
            guard (present.chain[1] == chain[1]) == (kind == .intermediate) else {
                throw .unusableFile(
                    path: "\(successorDirectory)/\(Self.fileName)",
                    reason: kind == .root
                        ? "it is under the present root: make another root, and install what that signs"
                        : "it is under another root than the present one")
            }
            return present
        }
        switch kind {
        case .root:
            try requireRootKey()
            return try Self.create(
                domain: trustDomain, in: successorDirectory,
                areNamesConstrained: CertificateFacts(chain[1]).constraints != nil, now: now)
        case .intermediate:
            let root = try ownRoot()
            try SecretFile.makeDirectory(successorDirectory)
            return try Self.makeIntermediate(
                of: trustDomain, root: root, in: successorDirectory, existing: .keep, now: now)
        }
    }

    public var successorDirectory: String { "\(directory)/\(Self.nextFolder)" }

    /// What was made and isn't in use yet.
    public func successor() throws(TrustError) -> CertificateAuthority? {
        try Self.sibling(of: trustDomain, in: successorDirectory)
    }

    /// What was in use before, as long as the rotation lasts: statements are signed with it, too, for
    /// those who know nothing newer.
    public func predecessor() throws(TrustError) -> CertificateAuthority? {
        try Self.sibling(of: trustDomain, in: "\(directory)/\(Self.formerFolder)")
    }

    /// Puts the successor in this authority's place, which becomes the predecessor.
    ///
    /// - Parameter key: the successor's ``AuthorityKey/keyIdentifier``.
    /// - Returns: the authority to go on with: the present one if it is that key's already.
    /// - Throws: ``TrustError``: on disk is either what was or what will be in use.
    public func succeeded(by key: String, kind: RotationKind) throws(TrustError)
        -> CertificateAuthority
    {
        let former = "\(directory)/\(Self.formerFolder)"
        if authorityKey(kind).keyIdentifier != key {
            guard let next = try successor(), next.authorityKey(kind).keyIdentifier == key else {
                throw .unusableFile(
                    path: "\(successorDirectory)/\(Self.fileName)",
                    reason: "the key \(key) isn't there")
            }
            try SecretFile.makeDirectory(former)
            for name in [Self.rootFileName, Self.fileName] {
                try Self.copy(name, from: directory, to: former)
            }
            try Self.copy(Self.fileName, from: successorDirectory, to: directory)
        }
        if kind == .root, try SecretFile.exists(named: Self.fileName, in: successorDirectory) {
            if try SecretFile.exists(named: Self.rootFileName, in: successorDirectory) {
                try Self.copy(Self.rootFileName, from: successorDirectory, to: directory)
            } else if try SecretFile.exists(named: Self.rootFileName, in: directory) {
                // The new root's key is elsewhere; the old one's isn't this folder's affair any more.
                try SecretFile.remove(named: Self.rootFileName, in: directory)
            }
        }
        try discardSuccessor()
        return try Self.load(
            cluster: trustDomain.cluster, mesh: trustDomain.mesh, from: directory)
    }

    /// Takes the predecessor's keys off the disk. Their blocks aren't overwritten.
    public func dropPredecessor() throws(TrustError) {
        try SecretFile.removeDirectory("\(directory)/\(Self.formerFolder)")
    }

    /// Takes a successor's keys off the disk that were never used.
    public func discardSuccessor() throws(TrustError) {
        try SecretFile.removeDirectory(successorDirectory)
    }

    /// The key that a rotation of that kind replaces.
    public func authorityKey(_ kind: RotationKind) -> AuthorityKey {
        let certificate = kind == .root ? chain[1] : chain[0]
        return AuthorityKey(
            keyIdentifier: keyIdentifierText(certificate), notAfter: certificate.notValidAfter)
    }

    private static func sibling(
        of domain: TrustDomain, in folder: String
    ) throws(TrustError) -> CertificateAuthority? {
        guard try SecretFile.exists(named: fileName, in: folder) else { return nil }
        return try load(cluster: domain.cluster, mesh: domain.mesh, from: folder)
    }

    /// Leaves out what isn't there.
    private static func copy(
        _ name: String, from source: String, to target: String
    ) throws(TrustError) {
        guard try SecretFile.exists(named: name, in: source) else { return }
        try SecretFile.write(
            SecretFile.read(named: name, in: source), named: name, in: target, existing: .replace)
    }
}
