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
                  weft lab demo --kubernetes
                """)

        @OptionGroup var options: Options
        @Flag(help: "Leave the lab up to play with.") var keep = false

        @Flag(help: "Objects come from an API server in each cluster, which goes away, too.")
        var kubernetes = false

        func run() async throws {
            var demo = Demo(name: options.name, hasServers: kubernetes) { Console.out("\($0)\n") }
            let broken = try await demo.run(keep: keep)
            guard broken.isEmpty else {
                for sentence in broken { Console.error("A promise did not hold: \(sentence).\n") }
                throw ExitCode.failure
            }
        }
    }
}
