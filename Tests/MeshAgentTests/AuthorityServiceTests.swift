// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MeshModel
import MeshTrust
import Testing

@testable import MeshAgent

@Suite("The authority of a running agent")
struct AuthorityServiceTests {
    private let folder: TemporaryFolder
    private let denials: Denials
    private let service: AuthorityService
    private let authority: CertificateAuthority

    init() throws {
        folder = try TemporaryFolder()
        let path = folder.path
        let paths = ["state", "bpf", "cgroup", "run", "manifests", "peers", "trust"]
            .map { "  \($0): \(path)/\($0)" }.joined(separator: "\n")
        for name in ["state", "trust"] {
            try FileManager.default.createDirectory(
                atPath: "\(path)/\(name)", withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
        let configuration = try AgentConfiguration(
            file: folder.write(
                "weft.yaml",
                """
                mesh: weft.test
                cluster: {name: east, id: 1}
                node: {name: n1, zone: z1}
                publisher: n1
                nodes: [{name: n1, address: 192.0.2.1}, {name: n2, address: 192.0.2.2}]
                underlay: {address: 192.0.2.1, interface: eth0}
                podPrefixes: ["10.1.0.0/24"]
                paths:
                \(paths)

                """))
        authority = try CertificateAuthority.create(
            cluster: configuration.clusterName, mesh: configuration.mesh,
            in: AuthorityService.folder(of: configuration))
        denials = try Denials(mesh: configuration.mesh, state: configuration.paths.state)
        service = AuthorityService(
            configuration: configuration, authority: authority, denials: denials,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private var auditFolder: String { "\(folder.path)/trust/authority/audit" }

    private func records() throws -> [AuditRecord] {
        try AuditTrail.read(AuditQuery(), in: auditFolder).records
    }

    @Test("a certificate stands in the log before it is released, and so does a refusal, once")
    func audited() throws {
        let key = NodeKey()
        let chain = try service.certify(node: "n2", request: key.request())
        let issued = try key.credentials(chainDER: chain, mesh: "weft.test")
        for _ in 0..<3 {
            #expect(throws: TrustError.self) { try service.certify(node: "n2", request: [1]) }
        }
        let records = try records()
        #expect(records.map(\.action) == [.issue, .issue])
        #expect(records.map(\.decision) == [.granted, .refused])
        #expect(records[0].subject == "spiffe://east.weft.test/node/n2")
        #expect(records[0].actor == records[0].subject, "the node itself asked")
        #expect(records[0].keyIdentifier == CertificateLife(issued.chain[0]).keyIdentifierText)
        #expect(try AuditTrail.verify(in: auditFolder).findings.isEmpty)
        #expect(service.auditHead?.sequence == 2)
    }

    @Test("so does an intermediate of another node's, and the refusal of one")
    func delegates() throws {
        let own = "\(folder.path)/own"
        let request = try CertificateAuthority.delegateRequest(
            of: authority.trustDomain, in: own)
        let chain = try service.certifyDelegate(node: "n2", request)
        let delegate = try CertificateAuthority.installed(
            delegate: chain, under: authority.bundle, in: own)
        #expect(throws: TrustError.self) { try service.certifyDelegate(node: "n2", [1]) }
        let records = try records()
        #expect(records.map(\.decision) == [.granted, .refused])
        #expect(records[0].keyIdentifier == CertificateLife(delegate.chain[0]).keyIdentifierText)
        #expect(records.allSatisfy { $0.subject == "cluster:east" })
        #expect(records.allSatisfy { $0.actor == "spiffe://east.weft.test/node/n2" })
    }

    @Test("without a record nothing is issued: while somebody else writes the log, too")
    func unrecorded() throws {
        do {
            let other = try AuditLog(directory: auditFolder)
            #expect(throws: AuditFault.inUse(directory: auditFolder)) {
                try service.certify(node: "n2", request: NodeKey().request())
            }
            withExtendedLifetime(other) {}
        }
        _ = try service.certify(node: "n2", request: NodeKey().request())
        #expect(try records().count == 1)
    }

    @Test("a denied node gets no other certificate")
    func denied() throws {
        let id = SPIFFEID(node: "n2", in: authority.trustDomain)
        let entry = try DenyEntry(
            .identity(id), reason: "stolen", since: Date(), until: Date() + 3_600)
        try denials.update { try $0.denyLocally(entry) }
        let refusal = #expect(throws: TrustError.self) {
            try service.certify(node: "n2", request: NodeKey().request())
        }
        #expect("\(try #require(refusal))".contains("stolen"))
        _ = try service.certify(node: "n1", request: NodeKey().request())
        #expect(try records().map(\.decision) == [.refused, .granted])
    }
}
