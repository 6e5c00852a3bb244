// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

extension ClusterCommand {
    struct Accept: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "accept",
            abstract: "Trust a cluster that is pending, or grant a member the charter it asks for.",
            discussion: """
                Trust isn't passed on by accident: a cluster that joined through one that is no \
                introducer here stays pending. Compare its root ('weft cluster list') with what its \
                operators say. Runs on the cluster's home.

                  weft cluster accept gamma
                  weft cluster accept gamma --root 0a1b2c
                """)

        @Argument(help: ArgumentHelp("The cluster's name.", valueName: "name"))
        var cluster: String
        @Option(
            help: ArgumentHelp(
                "The beginning of its root's pin, if several clusters want the name.",
                valueName: "pin"))
        var root: String?
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let answer = try await agent.administration.accept(cluster: cluster, root: root)
            try output.show(answer) { sentences($0, ifNone: "It was accepted already.") }
        }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "forget",
            abstract: "End the trust in a cluster that is gone.",
            discussion: """
                If this cluster introduced it, those who rely on this cluster's word forget it, too. \
                Its name, ID and addresses stay reserved until they are accepted or joined with a \
                token again. Runs on the cluster's home.

                  weft cluster forget gamma
                """)

        @Argument(help: ArgumentHelp("The cluster's name.", valueName: "name"))
        var cluster: String
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let answer = try await agent.administration.forget(cluster: cluster)
            try output.show(answer) { sentences($0, ifNone: "It was forgotten already.") }
        }
    }
}

extension ClusterCommand {
    struct Introducers: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "introducers",
            abstract: "Show or choose whose word about newcomers counts here.",
            discussion: """
                Whom an introducer lets join is a member here, too; whom others let join stays \
                pending until 'weft cluster accept'. By default that is the cluster that began the \
                mesh. This cluster's own word always counts. Each cluster chooses for itself. Runs on \
                the cluster's home; with names, or a flag, it replaces those chosen before.

                  weft cluster introducers
                  weft cluster introducers alpha beta
                  weft cluster introducers --founder
                """)

        @Argument(help: ArgumentHelp("Clusters that may introduce others.", valueName: "name"))
        var names: [String] = []
        @Flag(help: "The cluster that began the mesh, as if none had ever been chosen.")
        var founder = false
        @Flag(help: "Nobody but this cluster.") var none = false
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard [!names.isEmpty, founder, none].count(where: { $0 }) <= 1 else {
                throw ValidationError("Give names, --founder or --none.")
            }
        }

        func run() async throws {
            guard !names.isEmpty || founder || none else {
                return try output.show(try await agent.reading.introducers(), Self.text)
            }
            let answer = try await agent.administration.setIntroducers(founder ? nil : names)
            try output.show(answer) { sentences($0, ifNone: "Nobody's state changes by that.") }
        }

        private static func text(_ status: IntroducersStatus) -> String {
            let why =
                status.areChosen
                ? "chosen here; the mesh's founder is \(status.founder ?? "nobody yet")"
                : "by default: this cluster and the mesh's founder"
            return "\(status.names.joined(separator: ", ")) (\(why))\n"
        }
    }
}

private func sentences(_ answer: RosterAnswer, ifNone: String) -> String {
    (answer.events.isEmpty ? [ifNone] : answer.events).map { "\($0)\n" }.joined()
}
