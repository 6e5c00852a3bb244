// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTrust

extension Statement.Kind {
    /// What a cluster denies of its own certificates.
    static let denyList = Statement.Kind("weft deny list")
    /// What a cluster says of itself and of others, and what it answers to those who join.
    static let mesh = Statement.Kind("weft mesh statement")
}

extension Statement.Kind {
    /// Judges statements of this kind as of `now`.
    func judge(now: Date) -> StatementJudge {
        { body, signature, bundle, denied in
            try bundle.verify(
                StatementSignature(encoded: signature), of: Statement(self, body: body), now: now,
                denied: denied)
        }
    }
}

extension SealedStatement {
    /// - Throws: `DecodingFault` for anything but one statement.
    init(encoded: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(encoded)
        try self.init(from: &reader)
        try reader.finish()
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }
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
