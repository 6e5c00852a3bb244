// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct LeaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave",
        abstract: "Take this cluster out of the mesh.",
        discussion: """
            Tells every member, waits until each knows, and drops them: what 'weft join' did is \
            undone, here and there. Drain first ('weft drain on'), for connections end. Interrupted, \
            the agent goes on with it; repeat the command to see how far it is. With --force it ends \
            now: members that haven't heard of it must 'weft cluster forget' this one. \
            Runs on the cluster's home. To take one node out of service: 'weft node leave'; the \
            whole cluster for a while: 'weft drain on'.

              weft leave
              weft leave --wait 5m --force
            """)

    @Flag(help: "Don't wait for members that can't be reached.") var force = false
    @Option(help: ArgumentHelp("How long to wait for them.", valueName: "duration"))
    var wait: DurationArgument = "30s"
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let client = agent.administration
        let deadline = ContinuousClock.now + wait.duration
        var answer = try await client.leave(force: force)
        while !answer.awaited.isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(200))
            answer = try await client.leave()
        }
        try output.show(answer) { answer in
            answer.awaited.isEmpty
                ? "This cluster has left the mesh.\n"
                : "Still waiting for \(answer.awaited.joined(separator: ", ")) to hear of it; "
                    + "the agent goes on. Repeat this, or end it with --force.\n"
        }
        if !answer.awaited.isEmpty { throw ExitCode.failure }
    }
}
