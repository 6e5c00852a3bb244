// SPDX-License-Identifier: Apache-2.0

import X509

extension TrustBundle {
    /// 64 bits of SHA-256 over the anchors, whatever their order: by which a node says which roots it
    /// has in force.
    public var digest: UInt64 {
        get throws(TrustError) {
            var anchors: [[UInt8]] = []
            for anchor in self.anchors { anchors.append(sha256(try anchor.der())) }
            anchors.sort { $0.lexicographicallyPrecedes($1) }
            return sha256(anchors.flatMap(\.self)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        }
    }
}

extension NodeCredentials {
    /// Key identifiers of those that the certificate rests on: its issuer's first, the root's last.
    public var issuers: [[UInt8]] {
        chain.map { certificate in
            let identifier = (try? certificate.extensions.authorityKeyIdentifier) ?? nil
            return Array(identifier?.keyIdentifier ?? [])
        }
    }
}
