// SPDX-License-Identifier: Apache-2.0

import MeshModel
import X509

/// The names in a certificate, and how to call it in a message.
struct CertificateNames {
    let uris: [String]
    let count: Int
    private let subject: String

    init(_ certificate: Certificate) {
        self.init(
            certificate, names: (try? certificate.extensions.subjectAlternativeNames) ?? nil)
    }

    /// - Parameter names: of the certificate.
    init(_ certificate: Certificate, names: SubjectAlternativeNames?) {
        uris = (names ?? SubjectAlternativeNames()).compactMap {
            if case .uniformResourceIdentifier(let uri) = $0 { uri } else { nil }
        }
        count = names?.count ?? 0
        subject = uris.isEmpty ? "\(certificate.subject)" : ""
    }

    /// For messages: a URI, else the subject, bounded and printable because strangers choose it.
    var label: String { printable(uris.first ?? subject, 300) }

    /// Nil unless a SPIFFE ID is the only name.
    var spiffeID: SPIFFEID? { count == 1 && uris.count == 1 ? SPIFFEID(uris[0]) : nil }

    /// Nil when the certificate isn't a node's of that mesh.
    func nodeIdentity(mesh: String) -> PeerIdentity? {
        guard let id = spiffeID, let node = id.node, id.trustDomain.hasSuffix(".\(mesh)"),
            let cluster = ClusterName(rawValue: String(id.trustDomain.dropLast(mesh.count + 1))),
            let domain = try? TrustDomain(cluster: cluster, mesh: mesh)
        else { return nil }
        return PeerIdentity(domain: domain, node: node)
    }
}
