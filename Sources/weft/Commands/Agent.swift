// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshAgent

/// `weftd`, by its own name or as `weft agent`.
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Run the agent of this node (weftd).",
        discussion: """
            Runs until SIGTERM or SIGINT. Connections through the node go on while no agent runs. \
            Exits with 1, having changed nothing, when it can't start.
            """, version: weftVersion)

    @Option(help: ArgumentHelp("The node's configuration.", valueName: "file"))
    var config = "/etc/weft/weftd.yaml"

    func run() async throws {
        try await Agent.run(configurationFile: config)
    }
}
