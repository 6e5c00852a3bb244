// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import MeshReplication
public import MeshTrust

extension LedgerAuthority {
    /// Believes what the authority under a bundle's roots delegates, see
    /// ``CertificateAuthority/sign(statement:)``. Its certificates must last as long as the delegation,
    /// so that nobody need ask again when one of them ends.
    ///
    /// - Throws: ``TrustError/malformedCertificate(_:)``, for a bundle that was read never.
    public init(_ bundle: TrustBundle) throws(TrustError) {
        self.init(identity: Array(try bundle.pem().utf8)) { bytes, signature, until in
            do throws(TrustError) {
                try bundle.verify(
                    StatementSignature(encoded: signature),
                    of: Statement(.ledgerDelegation, body: bytes),
                    now: Date(timeIntervalSince1970: Double(until)))
                return true
            } catch {
                return false
            }
        }
    }
}
