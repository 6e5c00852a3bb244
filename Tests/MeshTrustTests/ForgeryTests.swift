// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import TrustForgery
@_spi(FixedExpiryValidationTime) import X509

@testable import MeshTrust

/// Lets the library judge the same chain: an independent reading of RFC 5280.
private struct NamesAndPurposes: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.extendedKeyUsage,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        .meetsPolicy
    }
}

@Suite("Forged chains")
struct ForgeryTests {
    /// Chains a flaw.
    static let seeds: Range<UInt64> = 0..<12

    private static func chain(_ seed: UInt64) throws -> (ForgedChain, TrustStore, SplitMix64) {
        var random = SplitMix64(seed: seed)
        let chain = try ForgedChain(east, mesh: mesh, now: noon, using: &random)
        let other = try ForgedChain(west, mesh: mesh, now: noon, using: &random)
        return (chain, TrustStore([try chain.bundle(), try other.bundle()]), random)
    }

    @Test(
        "one flaw is enough, however the rest varies; without it the chain is good",
        arguments: Flaw.all)
    func flaws(flaw: Flaw) throws {
        for seed in Self.seeds {
            var (chain, store, random) = try Self.chain(seed)
            #expect(try refusal(of: chain.presented(), by: store) == nil, "seed \(seed)")
            let forged = try flaw.forge(&chain, &random) ?? chain.presented()
            guard let error = refusal(of: forged, by: store) else {
                Issue.record("accepted, seed \(seed)")
                continue
            }
            #expect(
                kind(error) == flaw.kind && "\(error)".contains(flaw.reason),
                "seed \(seed): \(error)")
        }
    }

    @Test("no chain survives a change of its bytes", arguments: 0..<40 as Range<UInt64>)
    func mutations(seed: UInt64) throws {
        var (chain, store, random) = try Self.chain(seed)
        let honest = try chain.presented()
        for _ in 0..<50 {
            var forged = honest
            let which = Int.random(in: 0..<forged.count, using: &random)
            forged[which] = mutate(forged[which], with: honest, using: &random)
            guard forged != honest else { continue }
            #expect(
                refusal(of: forged, by: store) != nil,
                "seed \(seed), certificate \(which): \(forged[which])")
        }
    }

    private func mutate(
        _ bytes: [UInt8], with all: [[UInt8]], using random: inout SplitMix64
    ) -> [UInt8] {
        var bytes = bytes
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<7, using: &random) {
        case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[position] = UInt8.random(in: 0 ... .max, using: &random)
        case 2: bytes.removeSubrange(position...)
        case 3: bytes.remove(at: position)
        case 4: bytes.insert(UInt8.random(in: 0 ... .max, using: &random), at: position)
        case 5:
            let other = all.randomElement(using: &random) ?? []
            bytes = Array(bytes[..<position] + other.dropFirst(position))
        default:
            let end = min(bytes.count, position + Int.random(in: 1...64, using: &random))
            bytes.replaceSubrange(position..<end, with: bytes[position..<end].reversed())
        }
        return bytes
    }

    @Test(
        "the library and OpenSSL accept the honest chains too", arguments: 0..<12 as Range<UInt64>)
    func others(seed: UInt64) async throws {
        let (chain, _, _) = try Self.chain(seed)
        let root = try Certificate(derEncoded: chain.rootBytes)
        let presented = try chain.presented().prefix(2).map { try Certificate(derEncoded: $0) }
        var verifier = Verifier(rootCertificates: CertificateStore([root])) {
            RFC5280Policy(fixedExpiryValidationTime: noon)
            NamesAndPurposes()
        }
        let result = await verifier.validate(
            leaf: presented[0], intermediates: CertificateStore([presented[1]]))
        guard case .validCertificate = result else {
            Issue.record("seed \(seed): \(result)")
            return
        }
        let (code, output) = try openSSLVerify(
            presented, root: root, in: TemporaryDirectory(), "-attime",
            "\(Int(noon.timeIntervalSince1970))")
        #expect(code == 0, "seed \(seed): \(output)")
    }
}
