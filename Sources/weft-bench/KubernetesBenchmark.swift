// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab
import MeshModel

/// What an API server costs agents, and agents an API server.
struct KubernetesBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kubernetes",
        abstract: "How soon an API server's objects are in the kernel, and what asking costs it.",
        discussion: """
            The API server is the tests' double. 'sync' and 'change' use agents of a lab; 'load' counts \
            requests and bytes of simulated nodes on loopback, each with a connection of its own, and \
            says what follows for 1,000.
            """)

    enum Part: String, CaseIterable, ExpressibleByArgument {
        case sync, change, load
    }

    @OptionGroup var options: BenchOptions
    @Option(help: "Only one part.") var only: Part?

    func run() async throws {
        if only == nil || only == .change {
            try await KubernetesSync(quick: options.quick, weft: options.product()).changes()
        }
        if only == nil || only == .sync {
            try await KubernetesSync(quick: options.quick, weft: options.product()).cold()
        }
        if only == nil || only == .load {
            try await KubernetesLoad(quick: options.quick).run()
        }
    }
}
