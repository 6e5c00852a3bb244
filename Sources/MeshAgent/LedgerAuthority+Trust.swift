// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import MeshModel
public import MeshReplication
public import MeshTransport
public import MeshTrust

extension LedgerAuthority {
    /// Believes what the authority under a bundle's roots delegates, see
    /// ``CertificateAuthority/sign(statement:)``, unless it is denied. Its certificates must last as
    /// long as the delegation, so that nobody need ask again when one of them ends.
    ///
    /// - Parameter denials: those in force now; other ones make another authority.
    /// - Throws: ``TrustError/malformedCertificate(_:)``, for a bundle that was read never.
    public init(_ bundle: TrustBundle, denials: DenyBook) throws(TrustError) {
        var identity = ByteWriter()
        identity.write(try bundle.pem())
        identity.write(denials.sequence(of: bundle.trustDomain))
        identity.write(list: denials.localEntries) { $0.write("\($1)") }
        self.init(identity: identity.bytes) { bytes, signature, until in
            do throws(TrustError) {
                try bundle.verify(
                    StatementSignature(encoded: signature),
                    of: Statement(.ledgerDelegation, body: bytes),
                    now: Date(timeIntervalSince1970: Double(until)),
                    denied: { denials.denial(of: $0).map { "\($0)" } })
                return true
            } catch {
                return false
            }
        }
    }
}

extension LinkSecurity {
    /// Who vouches for each cluster's ledger.
    public func ledgerAuthorities(
        denials: DenyBook
    ) throws(TrustError) -> [ClusterID: LedgerAuthority] {
        var authorities: [ClusterID: LedgerAuthority] = [:]
        for domain in trust.trustDomains {
            guard let id = clusters[domain.cluster], let bundle = trust[domain.name]
            else { continue }
            authorities[id] = try LedgerAuthority(bundle, denials: denials)
        }
        return authorities
    }
}
