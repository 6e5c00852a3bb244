// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import MeshAdmin
import MeshTrust

extension AuthorityCommand {
    struct Issue: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "issue", abstract: "Give a node a key and a certificate for 24 hours.",
            discussion: """
                While an agent uses the authority it is asked to certify the key: what is issued stands \
                in one log.

                  weft ca issue alpha-2 --mesh example.mesh --cluster alpha --out alpha-2
                """)

        @Argument(help: ArgumentHelp("The node's name.", valueName: "node"))
        var node: String
        @OptionGroup var options: Options
        @Option(
            help: ArgumentHelp(
                "The node's folder of trust. Default: the authority's own.", valueName: "folder"))
        var out: String?
        @OptionGroup var agent: AgentOptions

        func run() async throws {
            let key = NodeKey()
            let (credentials, bundle) = try await certify(key)
            let folder = out ?? options.trust
            try makeFolder(folder)
            try credentials.save(in: folder)
            try saveBundle(bundle, in: folder)
            Console.out("\(folder)/\(NodeCredentials.fileName): \(credentials)\n")
        }

        private func certify(_ key: NodeKey) async throws -> (NodeCredentials, bundle: String) {
            let trail: AuditLog
            do throws(AuditFault) {
                trail = try options.openAudit()
            } catch {
                guard case .inUse = error else { throw error }
                return try await askAgent(to: key)
            }
            let authority = try CertificateAuthority.load(
                cluster: options.cluster, mesh: options.mesh, from: options.authorityFolder)
            let chain = try authority.issueNodeCertificate(
                node: node, request: NodeRequest(der: key.request()))
            try trail.append(
                AuditEntry(
                    .issue, .granted, by: .commandLine,
                    subject: PeerIdentity(domain: authority.trustDomain, node: node)
                        .map { .identity($0.spiffeID) }, certificate: chain.first))
            return (
                try key.credentials(chain: chain, mesh: options.mesh), try authority.bundle.pem()
            )
        }

        private func askAgent(to key: NodeKey) async throws -> (NodeCredentials, bundle: String) {
            let answer = try await agent.administration.certify(
                CertifyRequest(
                    node: node, request: Data(try key.request()).base64EncodedString()))
            let chain = answer.chain.compactMap { Data(base64Encoded: $0).map { Array($0) } }
            return (try key.credentials(chainDER: chain, mesh: options.mesh), answer.bundle)
        }
    }
}

extension AuthorityCommand.Options {
    /// The log of what this authority issues; `inUse` while an agent writes it.
    func openAudit() throws(AuditFault) -> AuditLog {
        try AuditLog(directory: "\(authorityFolder)/audit")
    }

    /// Records that the authority has another certificate, unless an agent does so, which notices its
    /// file.
    func recordCertificate(of authority: CertificateAuthority, _ reason: AuditReason) throws {
        let trail: AuditLog
        do throws(AuditFault) {
            trail = try openAudit()
        } catch {
            guard case .inUse = error else { throw error }
            return
        }
        try trail.append(
            AuditEntry(
                .issue, .granted, by: .commandLine, subject: .cluster(cluster),
                certificate: authority.chain.first, reason: reason))
    }
}

extension AuditActor {
    /// Whoever runs this command.
    static var commandLine: AuditActor { .user(geteuid()) }
}
