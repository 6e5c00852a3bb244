// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Ask everybody to send this node nothing new, or take that back.",
        discussion: "Connections that are open go on.")

    enum Switch: String, ExpressibleByArgument, CaseIterable {
        case on, off
    }

    @Argument(help: "on or off.") var to: Switch
    @OptionGroup var agent: AgentOptions

    func run() async throws {
        try await agent.administration.drain(to == .on)
        Console.out(
            to == .on
                ? "This node is draining: everybody was told to send it no new flows.\n"
                : "This node takes new flows again.\n")
    }
}
