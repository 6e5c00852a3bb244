// SPDX-License-Identifier: Apache-2.0

import X509

/// What a newly accepted bundle changed. Verifiers must be made anew.
public struct BundleChange: Hashable, Sendable {
    public let trustDomain: TrustDomain
    public let sequence: UInt64
    /// Subject key identifiers in hexadecimal.
    public let added: [String]
    public let removed: [String]
    /// No root is left: every peer of the domain is refused.
    public let isRevocation: Bool

    init(from former: BundleDocument?, to statement: BundleStatement) {
        trustDomain = statement.trustDomain
        sequence = statement.document.sequence
        let (before, after) = (former?.roots ?? [], statement.document.roots)
        added = after.filter { !before.contains($0) }.map(keyIdentifierText)
        removed = before.filter { !after.contains($0) }.map(keyIdentifierText)
        isRevocation = after.isEmpty
    }
}

extension BundleChange: CustomStringConvertible {
    public var description: String {
        if isRevocation { return "\(trustDomain) has revoked all its roots (bundle \(sequence))" }
        var parts: [String] = []
        if !added.isEmpty { parts.append("added root \(added.joined(separator: ", "))") }
        if !removed.isEmpty { parts.append("removed root \(removed.joined(separator: ", "))") }
        return "bundle \(sequence) of \(trustDomain) "
            + (parts.isEmpty ? "keeps its roots" : parts.joined(separator: " and "))
    }
}

/// The subject key identifier in hexadecimal, empty when the certificate has none.
func keyIdentifierText(_ certificate: Certificate) -> String {
    hexadecimal(((try? certificate.extensions.subjectKeyIdentifier) ?? nil)?.keyIdentifier ?? [])
}
