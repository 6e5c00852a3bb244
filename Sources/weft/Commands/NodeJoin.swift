// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAgent
import MeshTrust

extension NodeCommand {
    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "join",
            abstract: "Get this node's first certificate from its cluster's authority.",
            discussion: """
                Before the agent runs, with what 'weft join token --node NAME' printed on the \
                cluster's home. The key is made here and never leaves. Repeat it with the same token \
                if it was interrupted.

                  weft node join weft1-TOKEN@192.0.2.7:4792
                  weft node join -
                """)

        @Argument(
            help: ArgumentHelp(
                "The token; '-' reads it from the input.", valueName: "TOKEN@ADDRESS"))
        var target: String
        @Option(help: ArgumentHelp("The agent's folder of trust.", valueName: "folder"))
        var trust = "/etc/weft/trust"

        func run() async throws {
            try makeFolder(trust)
            let (credentials, clock) = try await NodeEnrolment.join(
                readTarget(target), folder: trust)
            Console.out("\(trust): \(credentials)\n")
            Console.out(clockSentence(clock.seconds, isAlarming: clock.isAlarming) + "\n")
        }
    }
}
