// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshAgent
import MeshModel
import MeshTrust

extension AuthorityCommand {
    /// Of an intermediate: in use, or what a rotation waits for.
    struct Place: ParsableArguments {
        @Flag(name: .customLong("next"), help: "For a rotation that is under way.")
        var isNext = false

        func folder(of options: Options) throws -> String {
            guard isNext else { return options.authorityFolder }
            return try CertificateAuthority.load(
                cluster: options.cluster, mesh: options.mesh, from: options.authorityFolder
            ).successorDirectory
        }
    }

    /// For a root key on another machine or in a token.
    struct Request: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "request",
            abstract: "Ask a root that is kept elsewhere for an intermediate.",
            discussion: """
                Writes 'intermediate.csr' and 'authority.cnf', both public. Take them to where the \
                root's key is, run there:

                \(IntermediateRequest.commands)
                and take 'intermediate.crt' and 'root.crt' back, for 'weft ca install'.

                To replace the root, on the home: 'weft ca rotate root', then 'weft ca request --next', \
                the commands above in a folder of its own, which make another root, and \
                'weft ca install --next'. The rotation goes on by itself.

                  weft ca request --mesh example.mesh --cluster alpha --out request
                """)

        @OptionGroup var options: Options
        @OptionGroup var place: Place
        @Option(help: ArgumentHelp("Where to write both files.", valueName: "folder"))
        var out = "."
        @Flag(help: "For peers whose TLS library refuses name constraints, as rustls does.")
        var withoutNameConstraints = false

        func run() throws {
            try makeFolder(options.trust)
            let request = try CertificateAuthority.requestIntermediate(
                cluster: options.cluster, mesh: options.mesh, in: place.folder(of: options),
                areNamesConstrained: !withoutNameConstraints)
            try makeFolder(out)
            for (name, text) in [
                ("intermediate.csr", request.pem), ("authority.cnf", request.configuration),
            ] {
                try Data(text.utf8).write(to: URL(filePath: "\(out)/\(name)"), options: .atomic)
            }
            Console.out(IntermediateRequest.commands)
        }
    }

    struct Install: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "install", abstract: "Take the intermediate into use that a root signed.",
            discussion: """
                With --next it is what a rotation that is under way goes on with: under another root \
                for 'weft ca rotate root', under the present one for 'weft ca rotate intermediate'.

                  weft ca install intermediate.crt --root root.crt --mesh example.mesh --cluster alpha
                """)

        @Argument(help: ArgumentHelp("The intermediate's certificate, PEM.", valueName: "file"))
        var certificate: String
        @Option(help: ArgumentHelp("The root's certificate, PEM.", valueName: "file"))
        var root: String
        @OptionGroup var options: Options
        @OptionGroup var place: Place
        @OptionGroup var output: OutputOptions

        func run() throws {
            let authority = try CertificateAuthority.installIntermediate(
                readText(certificate), root: readText(root), cluster: options.cluster,
                mesh: options.mesh, in: place.folder(of: options))
            try options.recordCertificate(
                of: authority, place.isNext ? "installed, for a rotation" : "installed")
            let answer = try AuthorityAnswer(authority)
            // Nobody may rest on the next root before everybody holds it: its rotation sees to that.
            if !place.isNext { try saveBundle(answer.bundle, in: options.trust) }
            try output.show(answer) {
                place.isNext
                    ? "The rotation goes on with it: see 'weft ca rotate'.\n" : $0.text
            }
        }
    }

    struct Renew: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "renew", abstract: "Make a new intermediate with the root's key.",
            discussion: """
                What the former one issued stays good until it ends.

                  weft ca renew --mesh example.mesh --cluster alpha
                """)

        @OptionGroup var options: Options

        func run() throws {
            let authority = try CertificateAuthority.load(
                cluster: options.cluster, mesh: options.mesh, from: options.authorityFolder)
            let renewed = try authority.renewed()
            try options.recordCertificate(of: renewed, "renewed")
            Console.out("\(renewed)\n")
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Judge a node's certificates as its peers would.",
            discussion: """
                  weft ca verify /etc/weft/trust/node.pem --mesh example.mesh --cluster alpha
                """)

        @Argument(
            help: ArgumentHelp(
                "The node's certificate and its issuers', PEM; keys are passed over.",
                valueName: "file"))
        var file: String
        @OptionGroup var options: Options
        @Option(
            help: ArgumentHelp(
                "The cluster's roots, PEM. Default: 'ca.pem' in the folder of trust.",
                valueName: "file"))
        var bundle: String?

        func run() throws {
            let bundle = try TrustBundle(
                trustDomain: TrustDomain(cluster: options.cluster, mesh: options.mesh),
                pem: readText(bundle ?? "\(options.trust)/ca.pem"))
            let (peer, chain) = try PeerVerifier(store: TrustStore([bundle]))
                .verify(pem: readText(file), now: Date())
            Console.out("\(peer.spiffeID), through \(chain.count - 1) issuers\n")
        }
    }
}

private func readText(_ path: String) throws -> String {
    String(
        decoding: try InputFile.read(path, bytesMaximum: TrustBundle.bytesMaximum), as: UTF8.self)
}
