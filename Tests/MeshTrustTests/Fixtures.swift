// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import X509

@testable import MeshTrust

let east = ClusterName(rawValue: "east")!
let west = ClusterName(rawValue: "west")!
let mesh = "weft.test"
/// 2026-07-01T00:00:00Z: every clock in these tests.
let noon = Date(timeIntervalSince1970: 1_782_864_000)

extension Certificate {
    var bytes: [UInt8] {
        get throws {
            var serializer = DER.Serializer()
            try serializer.serialize(self)
            return serializer.serializedBytes
        }
    }
}

/// A CA that signs whatever a test asks for.
struct Forge {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let root: Certificate
    let domain: TrustDomain

    init(_ cluster: ClusterName, now: Date = noon) throws {
        domain = try TrustDomain(cluster: cluster, mesh: mesh)
        root = try CertificateProfile.root(of: domain, key: key, now: now)
    }

    var bundle: TrustBundle { TrustBundle(trustDomain: domain, uncheckedAnchors: [root]) }

    struct Template {
        var version = Certificate.Version.v3
        var names: [GeneralName]
        var isCA = false
        var usage = KeyUsage(digitalSignature: true)
        var purposes: [ExtendedKeyUsage.Usage] = [.serverAuth, .clientAuth]
        var key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        var issuer: DistinguishedName?
        var subject = DistinguishedName()
        var notBefore = noon - 60
        var notAfter = noon + 3_600

        init(_ uris: String...) { names = uris.map { .uniformResourceIdentifier($0) } }
    }

    func sign(_ template: Template) throws -> Certificate {
        try Certificate(
            version: template.version, serialNumber: .init(), publicKey: template.key.publicKey,
            notValidBefore: template.notBefore, notValidAfter: template.notAfter,
            issuer: template.issuer ?? root.subject, subject: template.subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(
                    template.isCA
                        ? BasicConstraints.isCertificateAuthority(maxPathLength: 0)
                        : BasicConstraints.notCertificateAuthority)
                Critical(template.usage)
                try ExtendedKeyUsage(template.purposes)
                Critical(SubjectAlternativeNames(template.names))
            },
            issuerPrivateKey: key)
    }
}

/// What went wrong, without its details.
func kind(_ error: TrustError) -> String {
    Mirror(reflecting: error).children.first?.label ?? ""
}

func refusal(
    of presented: [[UInt8]], by store: TrustStore, now: Date = noon
) async -> TrustError? {
    do throws(TrustError) {
        _ = try await PeerVerifier(store: store).verify(presented: presented, now: now)
        return nil
    } catch {
        return error
    }
}
