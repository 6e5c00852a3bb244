// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshTrust

extension Statement.Kind {
    /// What a cluster says of itself and of others, and what it answers to those who join.
    static let mesh = Statement.Kind("weft mesh statement")
}

extension CertificateAuthority {
    /// Signs what joining has to say.
    var signer: StatementSigner {
        { statement throws(TrustError) in
            try sign(statement: Statement(.mesh, body: statement)).encoded
        }
    }
}

/// Judges what ``MeshTrust/CertificateAuthority/signer`` signed, as of the time it was issued at: it
/// outlives the intermediate that signed it.
func verifyMeshStatement(
    _ statement: [UInt8], _ signature: [UInt8], _ bundle: TrustBundle, _ issuedAt: Date
) throws(TrustError) {
    try bundle.verify(
        StatementSignature(encoded: signature), of: Statement(.mesh, body: statement),
        now: issuedAt)
}
