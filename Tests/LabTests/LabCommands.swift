// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import MeshLab

/// What a command printed, and its exit code.
struct Said {
    let code: Int32
    let out: String
    let error: String
}

extension Lab {
    /// Runs `weft` against a node's agent, in the node's network namespace.
    func weft(_ node: String, _ arguments: String...) async throws -> Said {
        try await weft(node, arguments)
    }

    func weft(
        _ node: String, _ arguments: [String], environment: [String] = []
    ) async throws -> Said {
        let node = try #require(plan.nodes.first { $0.name == node })
        return try await run(
            [executable] + arguments, on: node,
            environment: ["WEFT_SOCKET=\(plan.runFolder(of: node))/weft.sock"] + environment)
    }

    /// Runs `weft` against the replica of the authority in a node's network.
    func weft(authorityOn node: LabPlan.Node, _ arguments: String...) async throws -> Said {
        try await run(
            [executable] + arguments, on: node,
            environment: ["WEFT_SOCKET=\(plan.authorityFolder(of: node))/run/weft.sock"])
    }

    /// Runs a program in a node's network namespace.
    func run(
        _ command: [String], on node: LabPlan.Node, environment: [String] = []
    ) async throws -> Said {
        let file = "\(plan.stateFolder)/said"
        for name in [file, file + ".error"] { try LabFolder.remove(name) }
        let shell = ["/bin/sh", "-c", "exec \"$0\" \"$@\" 2>\(file).error"]
        let process = try start(
            ["/usr/bin/env"] + environment + shell + command, on: node,
            cgroup: cgroup.agent(of: node, in: try cluster(of: node)), output: file)
        guard case .exited(let code) = try await process.wait(atMost: .seconds(60)) else {
            throw LabError(.failed, "\(command) was killed")
        }
        return Said(
            code: code, out: try LabFolder.read(file), error: try LabFolder.read(file + ".error"))
    }
}
