// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import TrustForgery
import X509

@testable import MeshTrust

let east = ClusterName(rawValue: "east")!
let west = ClusterName(rawValue: "west")!
let mesh = "weft.test"
/// 2026-07-01T00:00:00Z: every clock in the tests of verification.
let noon = Date(timeIntervalSince1970: 1_782_864_000)

extension Certificate {
    var bytes: [UInt8] { get throws { try DER.bytes(self) } }
}

/// What went wrong, without its details.
func kind(_ error: TrustError) -> String {
    Mirror(reflecting: error).children.first?.label ?? "noCertificate"
}

func refusal(
    of presented: [[UInt8]], by store: TrustStore, now: Date = noon, denied: Denial? = nil
) -> TrustError? {
    do throws(TrustError) {
        _ = try PeerVerifier(store: store, denied: denied).verify(presented: presented, now: now)
        return nil
    } catch {
        return error
    }
}

/// An authority in a folder that is gone with it.
struct Cluster {
    let folder: TemporaryDirectory
    let authority: CertificateAuthority

    init(
        _ name: ClusterName = east, areNamesConstrained: Bool = true, now: Date = Date()
    ) throws {
        folder = try TemporaryDirectory()
        authority = try CertificateAuthority.create(
            cluster: name, mesh: mesh, in: "\(folder.path)/ca",
            areNamesConstrained: areNamesConstrained, now: now)
    }

    var directory: String { "\(folder.path)/ca" }

    func node(_ name: String, now: Date = Date()) throws -> [[UInt8]] {
        try NodeCredentials.issue(node: name, by: authority, now: now).chainDER()
    }
}

/// The P-256 key in a file of an authority.
func keyOnDisk(_ name: String, in directory: String) throws -> P256.Signing.PrivateKey {
    try KeyAndChain(pem: SecretFile.read(named: name, in: directory), path: name)
        .signingKey(path: name)
}

/// Asks OpenSSL about a chain, with the intermediates as such, as it must be done with partial chains
/// and strictly.
///
/// - Parameter chain: the certificate in question first.
func openSSLVerify(
    _ chain: [Certificate], root: Certificate, in folder: TemporaryDirectory, _ options: String...
) throws -> (code: Int32, output: String) {
    let rootFile = try folder.write(pemText([root]), to: "verify-root.pem")
    let leaf = try folder.write(pemText([chain[0]]), to: "verify-leaf.pem")
    var arguments = ["openssl", "verify", "-x509_strict"] + options + ["-CAfile", rootFile]
    if chain.count > 1 {
        let between = try folder.write(pemText(Array(chain.dropFirst())), to: "verify-int.pem")
        arguments += ["-untrusted", between]
    }
    return try run(arguments + [leaf])
}
