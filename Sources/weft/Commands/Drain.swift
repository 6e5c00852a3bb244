// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Ask all clusters to send this cluster nothing new, or take that back.",
        discussion: """
            For maintenance of a whole cluster: within a third of a second its services are served \
            by the others, here too. Connections that are open go on, and a service that only \
            this cluster has stays.

              weft drain on
              weft drain off
            """)

    enum Switch: String, ExpressibleByArgument, CaseIterable {
        case on, off
    }

    @Argument(help: "on or off.") var to: Switch
    @OptionGroup var agent: AgentOptions

    func run() async throws {
        try await agent.administration.drain(to == .on)
        Console.out(
            to == .on
                ? "This cluster is draining: every cluster was told to send it no new flows.\n"
                : "This cluster takes new flows again, step by step.\n")
    }
}
