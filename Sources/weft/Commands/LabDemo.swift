// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshLab

extension LabCommand {
    struct DemoCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "demo",
            abstract: "Three clusters, one dies, comes back, another drains: watch the requests.",
            discussion: """
                Exits with 1 and the reason if a promise didn't hold.

                  weft lab demo
                  weft lab demo --keep
                """)

        @OptionGroup var options: Options
        @Flag(help: "Leave the lab up to play with.") var keep = false

        func run() async throws {
            var demo = Demo(name: options.name) { Console.out("\($0)\n") }
            let broken = try await demo.run(keep: keep)
            guard broken.isEmpty else {
                for sentence in broken { Console.error("A promise did not hold: \(sentence).\n") }
                throw ExitCode.failure
            }
        }
    }
}
