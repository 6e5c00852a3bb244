// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshAdmin
import MeshModel
import MeshTrust
import Testing

@testable import MeshAgent

@Suite("Certificates that end are told of in time")
struct ExpiryWatchTests {
    private let folder: TemporaryFolder
    private let authority: CertificateAuthority
    private let begin = Date()

    init() throws {
        folder = try TemporaryFolder()
        authority = try CertificateAuthority.create(
            cluster: ClusterName(rawValue: "east")!, mesh: "weft.test",
            in: "\(folder.path)/authority")
    }

    private func watched(_ kind: CertificateStatus.Kind) throws -> TrustedLife {
        let certificate =
            switch kind {
            case .root: authority.chain[1]
            case .intermediate: authority.chain[0]
            case .node: try NodeCredentials.issue(node: "n1", by: authority).chain[0]
            }
        return TrustedLife(
            kind: kind, cluster: authority.trustDomain.cluster, life: CertificateLife(certificate))
    }

    @Test(
        "once at each level of its life, whatever the time between two looks",
        arguments: [
            (CertificateStatus.Kind.root, [50, 25, 10, 0]), (.intermediate, [50, 25, 10, 0]),
            (.node, [25, 10, 0]),
        ])
    func levels(kind: CertificateStatus.Kind, expected: [Int]) throws {
        let subject = try watched(kind)
        let life = subject.life.notAfter.timeIntervalSince(subject.life.notBefore)
        var watch = ExpiryWatch()
        var told: [Int] = []
        for step in 0...1010 {
            let now = subject.life.notBefore + life * Double(step) / 1000
            told += watch.warnings(about: [subject], now: now).map(\.percentLeft)
        }
        #expect(told == expected)
    }

    @Test("who looks late says the worst alone, and a renewed certificate begins anew")
    func late() throws {
        let subject = try watched(.intermediate)
        let end = subject.life.notAfter
        var watch = ExpiryWatch()
        #expect(watch.warnings(about: [subject], now: end - 60).map(\.percentLeft) == [10])
        #expect(watch.warnings(about: [subject], now: end - 30).isEmpty)
        #expect(watch.warnings(about: [], now: end - 30).isEmpty)
        #expect(watch.warnings(about: [subject], now: end + 1).map(\.percentLeft) == [0])
    }
}
