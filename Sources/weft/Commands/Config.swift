// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshAdmin
import MeshAgent

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "What an agent is told, and by whom.",
        subcommands: [Check.self, Show.self, Keys.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract:
                "Whether an agent could run with a configuration; starts and changes nothing.",
            discussion: """
                Reads the file, this environment's variables over it, the peers folder that it names and \
                --set options over all, as weftd would. Ends with 1 if anything is wrong.

                weft config check /etc/weft/weftd.yaml
                weft config check --set ports.state=4890
                """)

        @Argument(help: "The node's configuration.") var file = AgentArguments.standardFile
        @OptionGroup var said: SaidOptions

        func run() async throws {
            let layers = try said.layers(file)
            var problems = layers.problems
            var peers = 0
            if problems.isEmpty {
                let configuration = try AgentConfiguration(layers)
                let folder = PeerFolder(
                    folder: configuration.paths.peers, own: configuration)
                problems += folder.problems
                peers = folder.peers.count
            }
            for problem in problems { Console.error("\(problem)\n") }
            guard problems.isEmpty else { throw ExitCode.failure }
            Console.out("\(file) is fine, and so are \(peers) files of other clusters.\n")
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Every value that an agent goes by, and who said it.",
            discussion: """
                Asks the agent, or, with --config, reads a file as weftd would. SOURCE is a file's line, \
                a variable of the environment or an option; without one the value is the default.

                weft config show
                weft config show --config /etc/weft/weftd.yaml -o json
                """)

        @Option(help: ArgumentHelp("Read this file; ask no agent.", valueName: "file"))
        var config: String?
        @OptionGroup var said: SaidOptions
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            guard let config else {
                guard said.options.isEmpty else {
                    throw ValidationError("--set goes with --config: an agent has its own.")
                }
                return try output.show(try await agent.reading.configuration(), Self.render)
            }
            let layers = try said.layers(config)
            _ = try AgentConfiguration(layers)
            try output.show(
                ConfigurationStatus(file: config, settings: layers.settings), Self.render)
        }

        static func render(_ status: ConfigurationStatus) -> String {
            let table = Table(
                ["KEY", "VALUE", "SOURCE", "NOTE"],
                rows: status.settings.filter { $0.value != nil || $0.pending != nil }
            ) { setting in
                [
                    setting.key, setting.value ?? "", setting.source ?? "",
                    setting.pending.map { "a restart makes it \($0)" } ?? "",
                ]
            }
            let problem = status.problem.map { "The file isn't used any more: \($0)\n" } ?? ""
            return problem + table.text
        }
    }

    struct Keys: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "keys",
            abstract: "Everything that a configuration may say.",
            discussion: """
                LIVE values are taken up by a running agent within seconds, others by a restart.

                  weft config keys
                """)

        @OptionGroup var output: OutputOptions

        func run() throws {
            let rows = Setting.all.map {
                SettingHelp(
                    key: $0.key, variable: $0.variable, standard: $0.standard, isLive: $0.isLive,
                    help: $0.help)
            }
            try output.show(rows) { rows in
                Table(["KEY", "VARIABLE", "DEFAULT", "LIVE", "MEANING"], rows: rows) {
                    [$0.key, $0.variable, $0.standard ?? "", $0.isLive ? "yes" : "", $0.help]
                }.text
            }
        }
    }
}

/// What an agent would be told beside its file.
struct SaidOptions: ParsableArguments {
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Sets one value over the file's and the environment's; may be repeated.",
            valueName: "key=value"))
    var options: [String] = []

    func layers(_ file: String) throws -> ConfigurationLayers {
        try ConfigurationLayers(
            file: file, environment: ProcessInfo.processInfo.environment, options: options)
    }
}

private struct SettingHelp: Encodable {
    let key: String
    let variable: String
    let standard: String?
    let isLive: Bool
    let help: String
}
