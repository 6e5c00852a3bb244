// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshModel
import MeshTransport
import MeshTrust

/// A certificate that this node rests on.
struct TrustedLife: Hashable {
    let kind: CertificateStatus.Kind
    let cluster: ClusterName
    let life: CertificateLife
}

extension TrustedLife {
    /// What this node rests on: own cluster first, roots before what they issued.
    ///
    /// - Parameter authority: set on nodes that hold the CA, whose intermediate may be newer than the
    ///   one that issued the node's certificate.
    static func all(_ security: LinkSecurity, authority: CertificateAuthority?) -> [TrustedLife] {
        let own = security.credentials.identity.cluster
        func roots(of domain: TrustDomain) -> [TrustedLife] {
            (security.trust[domain.name]?.anchors ?? []).map {
                TrustedLife(kind: .root, cluster: domain.cluster, life: CertificateLife($0))
            }
        }
        let chain = security.credentials.chain.map { CertificateLife($0) }
        let issuers =
            authority.map { [CertificateLife($0.chain[0])] } ?? Array(chain.dropFirst())
        let domains = security.trust.trustDomains
        return domains.filter { $0.cluster == own }.flatMap(roots)
            + issuers.map { TrustedLife(kind: .intermediate, cluster: own, life: $0) }
            + chain.prefix(1).map { TrustedLife(kind: .node, cluster: own, life: $0) }
            + domains.filter { $0.cluster != own }.flatMap(roots)
    }
}

/// Says once when a certificate's life falls below a level. A value without clock.
struct ExpiryWatch {
    /// Hundredths of a life, descending. A node's certificate is renewed when a third is left: what
    /// falls below a quarter is late.
    static func levels(of kind: CertificateStatus.Kind) -> [Int] {
        switch kind {
        case .root, .intermediate: [50, 25, 10, 0]
        case .node: [25, 10, 0]
        }
    }

    struct Warning: Hashable {
        let subject: TrustedLife
        /// Of its life, at most so much is left; 0: none.
        let percentLeft: Int
    }

    private var told: [TrustedLife: Int] = [:]

    /// - Parameter lives: all there are: what isn't among them is forgotten.
    mutating func warnings(about lives: [TrustedLife], now: Date) -> [Warning] {
        var next: [TrustedLife: Int] = [:]
        var warnings: [Warning] = []
        for life in lives {
            let left = life.life.fractionLeft(at: now) * 100
            next[life] = told[life]
            guard let level = Self.levels(of: life.kind).last(where: { left <= Double($0) }),
                level < told[life] ?? .max
            else { continue }
            next[life] = level
            warnings.append(Warning(subject: life, percentLeft: level))
        }
        told = next
        return warnings
    }
}
