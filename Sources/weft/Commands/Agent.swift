// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshAgent

struct AgentArguments: ParsableArguments {
    static let abstract = "Run the agent of this node."
    static let discussion = """
        Variables such as WEFT_PORTS_STATE say more than the file, --set more than both; 'weft config \
        keys' lists what there is.

        Runs until SIGTERM or SIGINT. Connections through the node go on while no agent runs. Exits \
        with 1, having changed nothing, when it can't start.

          weft agent --config /etc/weft/weftd.yaml
          weft agent --set logLevel=debug
        """

    @Option(help: ArgumentHelp("The node's configuration.", valueName: "file"))
    var config = Self.standardFile

    static let standardFile = "/etc/weft/weftd.yaml"

    @Flag(
        help:
            "Be the cluster's authority, which publisher.authority names, and no node: no datapath, no privileges."
    )
    var authority = false

    @OptionGroup var said: SaidOptions

    func run() async throws {
        let (file, said) = (config, said)
        if authority {
            try await Authority.run { try said.layers(file) }
        } else {
            try await Agent.run { try said.layers(file) }
        }
    }
}

/// The binary under its other name.
struct Weftd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weftd", abstract: AgentArguments.abstract,
        discussion: AgentArguments.discussion, version: weftVersion)

    @OptionGroup var arguments: AgentArguments

    func run() async throws { try await arguments.run() }
}

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Run the agent of this node, as weftd does.",
        discussion: AgentArguments.discussion)

    @OptionGroup var arguments: AgentArguments

    func run() async throws { try await arguments.run() }
}
