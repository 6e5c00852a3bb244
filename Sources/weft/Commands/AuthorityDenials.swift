// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshAdmin

extension AuthorityCommand {
    /// What is denied or allowed: one of these.
    struct SubjectOptions: ParsableArguments {
        @Option(help: ArgumentHelp("A certificate, by its serial number.", valueName: "hex"))
        var serial: String?
        @Option(
            help: ArgumentHelp(
                "Every certificate of a key, by SHA-256 of its SubjectPublicKeyInfo.",
                valueName: "hex"))
        var key: String?
        @Option(
            help: ArgumentHelp(
                "Every certificate of a node; with --local also 'cluster/node'.",
                valueName: "name"))
        var node: String?
        @Option(
            help: ArgumentHelp(
                "Everything below an authority, by its subject key identifier; beside --serial the "
                    + "certificate's issuer.", valueName: "hex"))
        var authority: String?

        var subject: DenialSubject {
            DenialSubject(serial: serial, key: key, node: node, authority: authority)
        }

        func validate() throws {
            let count = [serial, key, node].count { $0 != nil }
            guard
                count == 1 && (authority == nil || serial != nil) || count == 0 && authority != nil
            else {
                throw ValidationError("Give one of --serial, --key, --node and --authority.")
            }
        }
    }

    struct Deny: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "deny", abstract: "Believe a certificate no longer, in every cluster.",
            discussion: """
                Run it on the cluster's home, the first node that may publish. The list is signed and \
                spreads with the ledger; sessions of what it denies end at once, and none of them \
                comes back. A cluster denies only what its own authority issued: another cluster's \
                nodes are denied with --local, on each node that shall refuse them.

                  weft ca deny --node beta-8 --reason stolen
                """)

        @OptionGroup var subject: SubjectOptions
        @Option(help: ArgumentHelp("Why, for people.", valueName: "text"))
        var reason: String
        @Flag(help: "On this node alone, whichever authority issued it.")
        var local = false
        @OptionGroup var agent: AgentOptions

        func run() async throws {
            try await agent.administration.deny(
                DenyRequest(subject: subject.subject, reason: reason, isLocal: local))
            Console.out("Denied.\n")
        }
    }

    struct Allow: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "allow", abstract: "Take a denial back.",
            discussion: """
                  weft ca allow --node beta-8
                """)

        @OptionGroup var subject: SubjectOptions
        @Flag(help: "A denial of this node alone.")
        var local = false
        @OptionGroup var agent: AgentOptions

        func run() async throws {
            try await agent.administration.allow(
                AllowRequest(subject: subject.subject, isLocal: local))
            Console.out("Allowed again.\n")
        }
    }

    struct Denied: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "denied", abstract: "What is denied, by whom and until when.",
            discussion: """
                  weft ca denied
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [DenialStatus] {
            try await client.denials()
        }

        func render(_ denials: [DenialStatus]) -> String {
            Table(["BY", "SINCE", "UNTIL", "SUBJECT", "REASON"], rows: denials) {
                [
                    $0.owner ?? "this node", Format.date(unixSeconds: $0.sinceUnixSeconds),
                    Format.date(unixSeconds: $0.untilUnixSeconds), $0.subject, $0.reason,
                ]
            }.text
        }
    }

    struct Lives: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "How long the certificates last that this node rests on.",
            discussion: """
                  weft ca status
                  weft ca status -w
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> TrustStatus {
            try await client.trustStatus()
        }

        func render(_ status: TrustStatus) -> String {
            let table = Table(
                [
                    "CLUSTER", "KIND", "ENDS", .right("LEFT"), .right("OF ITS LIFE"),
                    "KEY IDENTIFIER",
                ],
                rows: status.certificates
            ) {
                [
                    $0.cluster, $0.kind.rawValue, Format.date(unixSeconds: $0.notAfterUnixSeconds),
                    $0.secondsLeft > 0 ? Format.age($0.secondsLeft) : "expired",
                    "\(Int(($0.fractionLeft * 100).rounded())) %", $0.keyIdentifier,
                ]
            }.text
            let audit = status.audit.map { "Audit    record \($0.sequence), \($0.hash)\n" } ?? ""
            let rotation =
                status.rotation.map {
                    $0.text.split(separator: "\n").map { "Rotation \($0)\n" }.joined()
                } ?? ""
            return table + "\nHome     \(status.home)\nDenials  \(status.denials)\n" + audit
                + rotation
        }
    }
}
