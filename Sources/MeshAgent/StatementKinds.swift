// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTrust

extension Statement.Kind {
    /// What a cluster denies of its own certificates.
    static let denyList = Statement.Kind("weft deny list")
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
