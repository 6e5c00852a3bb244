// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshModel
import MeshTrust

struct AuthorityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca", abstract: "The certificate authority of this cluster.",
        subcommands: [
            Initialise.self, Issue.self, Request.self, Install.self, Renew.self, Verify.self,
            Lives.self, Log.self, Deny.self, Allow.self, Denied.self, Rotate.self, Bundle.self,
        ])

    /// Which cluster, and where its trust folder is.
    struct Options: ParsableArguments {
        @Option(help: ArgumentHelp("The name all clusters share.", valueName: "dns-name"))
        var mesh: String
        @Option(
            help: ArgumentHelp("This cluster's name.", valueName: "name"),
            transform: clusterName)
        var cluster: ClusterName
        @Option(
            help: ArgumentHelp(
                "The agent's folder of trust; keys of the authority are in 'authority' below it.",
                valueName: "folder"))
        var trust = "/etc/weft/trust"

        var authorityFolder: String { "\(trust)/authority" }
    }

    struct Initialise: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init", abstract: "Make a new authority, once for each cluster.",
            discussion: """
                Its keys stay in the folder, readable by their owner only, and are never replaced. \
                'root.pem' is needed only to renew the intermediate and may be kept elsewhere; for a \
                root key that was never here see 'weft ca request'. \
                What is printed is public: other clusters need it in their peers.d.

                  weft ca init --mesh example.mesh --cluster alpha
                """)

        @OptionGroup var options: Options
        @Flag(help: "For peers whose TLS library refuses name constraints, as rustls does.")
        var withoutNameConstraints = false
        @OptionGroup var output: OutputOptions

        func run() throws {
            try makeFolder(options.trust)
            let authority = try CertificateAuthority.create(
                cluster: options.cluster, mesh: options.mesh, in: options.authorityFolder,
                areNamesConstrained: !withoutNameConstraints)
            try options.recordCertificate(of: authority, "a new authority")
            let answer = try AuthorityAnswer(authority)
            try saveBundle(answer.bundle, in: options.trust)
            try output.show(answer) { $0.text }
        }
    }
}

/// What `ca init` and `ca install` tell; nothing in it is secret.
struct AuthorityAnswer: Encodable {
    let cluster: String
    let trustDomain: String
    /// PEM.
    let bundle: String

    init(_ authority: CertificateAuthority) throws {
        cluster = authority.trustDomain.cluster.rawValue
        trustDomain = authority.trustDomain.name
        bundle = try authority.bundle.pem()
    }

    var text: String {
        let bundle = bundle.split(separator: "\n").map { "  \($0)\n" }.joined()
        return """
            The authority of \(trustDomain) is ready. Other clusters need in their peers.d:

            name: \(cluster)
            bundle: |
            \(bundle)
            """
    }
}

private func clusterName(_ text: String) throws -> ClusterName {
    guard let name = ClusterName(rawValue: text) else {
        throw ValidationError(
            "'\(text)' must be 1 to \(ClusterName.maximumLength) characters of a-z, 0-9 and '-'.")
    }
    return name
}

/// Mode 0700: keys lie in it.
func makeFolder(_ path: String) throws {
    guard !FileManager.default.fileExists(atPath: path) else { return }
    try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
}

/// What every node needs to know of its own cluster's authority.
func saveBundle(_ bundle: String, in folder: String) throws {
    try Data(bundle.utf8).write(to: URL(filePath: "\(folder)/ca.pem"), options: .atomic)
}
