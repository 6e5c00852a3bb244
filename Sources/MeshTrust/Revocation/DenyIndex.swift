// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import X509

/// Denials by their subject.
struct DenyIndex: Hashable, Sendable {
    private var entries: [DenySubject: DenyEntry] = [:]
    /// Digests are computed only when some key is denied.
    private var keyCount = 0

    var isEmpty: Bool { entries.isEmpty }

    init(_ entries: [DenyEntry] = []) {
        for entry in entries { insert(entry) }
    }

    mutating func insert(_ entry: DenyEntry) {
        let former = entries.updateValue(entry, forKey: entry.subject)
        if former == nil, case .key = entry.subject { keyCount += 1 }
    }

    mutating func remove(_ subject: DenySubject) -> DenyEntry? {
        let former = entries.removeValue(forKey: subject)
        if former != nil, case .key = subject { keyCount -= 1 }
        return former
    }

    /// In the order of their encoding.
    var sorted: [DenyEntry] {
        entries.values.sorted {
            $0.subject.encoded.lexicographicallyPrecedes($1.subject.encoded)
        }
    }

    var endings: some Collection<Date> { entries.values.lazy.map(\.until) }

    /// - Parameter chain: the peer's certificate first, then each one's issuer.
    /// - Complexity: five look-ups a certificate, and one SHA-256 if any key is denied.
    func entry(denying chain: [Certificate]) -> DenyEntry? {
        for (position, certificate) in chain.enumerated() {
            if let id = CertificateNames(certificate).spiffeID,
                let entry = entries[.identity(id)]
            {
                return entry
            }
            let serial = DenySubject.serial(of: certificate)
            let issuer = position + 1 < chain.count ? chain[position + 1].ownKeyIdentifier : nil
            // The issuer in the chain counts as well as the one that the certificate names.
            for authority in [certificate.issuerKeyIdentifier, issuer].compactMap(\.self) {
                if let entry = entries[.authority(keyIdentifier: authority)]
                    ?? entries[.certificate(authority: authority, serial: serial)]
                {
                    return entry
                }
            }
            // The first one, too: a statement is signed by an authority itself.
            if let own = certificate.ownKeyIdentifier,
                let entry = entries[.authority(keyIdentifier: own)]
            {
                return entry
            }
            if keyCount > 0, let digest = try? DenySubject.digest(of: certificate.publicKey),
                let entry = entries[.key(digest: digest)]
            {
                return entry
            }
        }
        return nil
    }
}
