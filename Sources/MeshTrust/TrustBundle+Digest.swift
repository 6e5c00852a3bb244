// SPDX-License-Identifier: Apache-2.0

import Crypto
import X509

extension TrustBundle {
    /// 64 bits of SHA-256 over the anchors, whatever their order: by which a node says which roots it
    /// has in force.
    public var digest: UInt64 {
        get throws(TrustError) {
            var anchors: [[UInt8]] = []
            for anchor in self.anchors {
                anchors.append(Array(SHA256.hash(data: try anchor.der())))
            }
            anchors.sort { $0.lexicographicallyPrecedes($1) }
            var hash = SHA256()
            for anchor in anchors { hash.update(data: anchor) }
            return hash.finalize().prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
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
