// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import Testing

@testable import MeshLab

/// What a command printed, and its exit code.
private struct Said {
    let code: Int32
    let out: String
    let error: String
}

extension Lab {
    /// Runs `weft` against a node's agent, in the node's network namespace.
    fileprivate func weft(_ node: String, _ arguments: String...) async throws -> Said {
        try await weft(node, arguments)
    }

    private func weft(_ node: String, _ arguments: [String]) async throws -> Said {
        let node = try #require(plan.nodes.first { $0.name == node })
        let file = "\(plan.stateFolder)/said"
        for name in [file, file + ".error"] { try LabFolder.remove(name) }
        let shell = ["/bin/sh", "-c", "exec \"$0\" \"$@\" 2>\(file).error", executable]
        let process = try start(
            ["/usr/bin/env", "WEFT_SOCKET=\(plan.runFolder(of: node))/weft.sock"] + shell
                + arguments, on: node,
            cgroup: cgroup.agent(of: node, in: try cluster(of: node)), output: file)
        guard case .exited(let code) = try await process.wait(atMost: .seconds(60)) else {
            throw LabError(.failed, "weft \(arguments) was killed")
        }
        return Said(
            code: code, out: try LabFolder.read(file), error: try LabFolder.read(file + ".error"))
    }

    /// `TOKEN@ADDRESS` for `subject`.
    fileprivate func token(
        _ home: String, _ subject: String..., tokens: inout [String]
    ) async throws -> String {
        let said =
            subject.count == 1
            ? try await weft(home, "join", "token", "--node", subject[0])
            : try await weft(home, "join", "token", subject[0], "--id", subject[1])
        #expect(said.code == 0, "\(said)")
        let target = String(said.out.dropLast())
        tokens.append(String(target.prefix { $0 != "@" }))
        return target
    }

    fileprivate func join(_ home: String, _ target: String) async throws {
        let said = try await weft(home, "join", target)
        #expect(said.code == 0, "\(said)")
        #expect(said.out.hasPrefix("This cluster has joined the mesh through"))
    }

    fileprivate func refused(
        _ node: String, _ arguments: String..., saying sentence: String
    ) async throws {
        let said = try await weft(node, arguments)
        #expect(said.code == 1 && said.error.contains(sentence), "\(said)")
    }

    fileprivate func nodes(of clusters: String...) -> [LabPlan.Node] {
        plan.clusters.filter { clusters.contains($0.name) }.flatMap(\.nodes)
    }

    /// Waits until a node's list says so of a cluster; nil: doesn't list it, or as gone.
    fileprivate func awaitState(
        _ node: String, of cluster: String, _ state: RosterStatus.State?
    ) async throws {
        let node = try #require(plan.nodes.first { $0.name == node })
        _ = try await awaiting(
            "\(cluster) to be \(state.map { "\($0)" } ?? "gone") at \(node.name)",
            atMost: .seconds(20)
        ) {
            let row = try await agent(of: node).clusters().first { $0.name == cluster }
            if let state { return row?.roster?.state == state ? true : nil }
            return row == nil || row?.nodes == 0 ? true : nil
        }
    }

    /// No secret is anywhere but where it was printed.
    fileprivate func expectNoLeak(of tokens: [String]) throws {
        for token in tokens {
            let secret = token.dropFirst("weft1-".count)
            for log in try logs() {
                #expect(try !LabFolder.read(log).contains(secret), "\(log)")
            }
            for node in plan.nodes {
                let authority = "\(plan.folder(of: node))/trust/authority"
                for folder in [authority, "\(authority)/audit"] {
                    for name in try LabFolder.names(in: folder) where name != "audit" {
                        let text = try LabFolder.read("\(folder)/\(name)")
                        #expect(!text.contains(secret), "\(name)")
                    }
                }
            }
        }
    }
}

@Suite(.tags(.lab), .serialized) struct JoinTests {
    private static func file(nodes: Int) -> LabFile {
        var file = LabFile.builtIn
        file.apart = true
        for index in file.clusters.indices { file.clusters[index].nodes = .count(nodes) }
        return file
    }

    @Test("two commands make two clusters one mesh, two more a third one's; a leave undoes it")
    func joins() async throws {
        try await withLab(Self.file(nodes: 2)) { lab in
            var tokens: [String] = []
            try await lab.refused(
                "alpha-2", "join", "token", "beta", "--id", "2", saying: "alpha-1")
            let forBeta = try await lab.token("alpha-1", "beta", "2", tokens: &tokens)
            try await lab.refused("gamma-1", "join", forBeta, saying: "not for cluster 'gamma'")
            try await lab.refused("alpha-1", "join", forBeta, saying: "made this token itself")
            try await lab.refused(
                "beta-1", "join", String(forBeta.dropFirst(9)), saying: "copy the whole line")
            let elsewhere = "\(tokens[0])@172.31.3.1:4792"
            try await lab.refused("beta-1", "join", elsewhere, saying: "the token names")

            try await lab.join("beta-1", forBeta)
            try await lab.converge(lab.nodes(of: "alpha", "beta"), joined: ["alpha", "beta"])
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/", ["--interval", "5ms"])
            _ = try await load.await("an answer from beta", atMost: .seconds(10)) {
                $0.cluster == "beta"
            }
            // With the founder's word everybody trusts a third one.
            try await lab.join(
                "gamma-1", try await lab.token("alpha-1", "gamma", "3", tokens: &tokens))
            try await lab.converge(lab.plan.nodes, joined: ["alpha", "beta", "gamma"])
            _ = try await load.await("an answer from gamma", atMost: .seconds(10)) {
                $0.cluster == "gamma"
            }
            // A token that was used is worth nothing in other hands, nor is a taken number.
            try await lab.refused("gamma-1", "join", forBeta, saying: "not for cluster 'gamma'")
            try await lab.refused(
                "alpha-1", "join", "token", "delta", "--id", "3",
                saying: "ID 3 belongs to cluster 'gamma'")

            let left = try await lab.weft("gamma-1", "leave")
            #expect(left.code == 0 && left.out.contains("has left"), "\(left)")
            for node in ["alpha-1", "beta-1"] {
                try await lab.awaitState(node, of: "gamma", .left)
            }
            for node in lab.nodes(of: "gamma") {
                _ = try await awaiting("\(node.name) to have no peers", atMost: .seconds(20)) {
                    try LabFolder.names(in: "\(lab.plan.folder(of: node))/peers.d").isEmpty
                        ? true : nil
                }
            }
            for node in ["alpha-2", "beta-2"] { try await lab.awaitState(node, of: "gamma", nil) }
            try await lab.converge(lab.nodes(of: "alpha", "beta"), joined: ["alpha", "beta"])
            try await lab.join(
                "gamma-1", try await lab.token("beta-1", "gamma", "3", tokens: &tokens))
            try await lab.awaitState("beta-1", of: "gamma", .member)
            try lab.expectNoLeak(of: tokens)
        }
    }

    @Test("whom a cluster brings that is no introducer stays pending until an operator accepts it")
    func pending() async throws {
        try await withLab(Self.file(nodes: 1)) { lab in
            var tokens: [String] = []
            try await lab.join(
                "beta-1", try await lab.token("alpha-1", "beta", "2", tokens: &tokens))
            try await lab.join(
                "gamma-1", try await lab.token("beta-1", "gamma", "3", tokens: &tokens))
            try await lab.converge(lab.nodes(of: "beta"), joined: ["alpha", "beta", "gamma"])
            try await lab.awaitState("alpha-1", of: "gamma", .pending)
            let list = try await lab.weft("alpha-1", "cluster", "list")
            #expect(list.out.contains("introduced by 'beta', no introducer accepted here"))
            #expect(
                try LabFolder.names(in: "\(lab.plan.folder(of: lab.plan.nodes[0]))/peers.d")
                    == ["beta.yaml"])
            let accepted = try await lab.weft("alpha-1", "cluster", "accept", "gamma")
            #expect(accepted.code == 0 && accepted.out.contains("accepted here"), "\(accepted)")
            try await lab.converge(lab.plan.nodes, joined: ["alpha", "beta", "gamma"])
            let forgotten = try await lab.weft("alpha-1", "cluster", "forget", "gamma")
            #expect(forgotten.code == 0, "\(forgotten)")
            try await lab.awaitState("alpha-1", of: "gamma", .forgotten)
            try await lab.converge(lab.nodes(of: "alpha"), joined: ["alpha", "beta"])
            try await lab.refused("alpha-1", "cluster", "accept", "delta", saying: "no cluster")
        }
    }

    @Test("a home that is killed before or after the join goes on from its files")
    func killed() async throws {
        try await withLab(Self.file(nodes: 1)) { lab in
            var tokens: [String] = []
            let target = try await lab.token("alpha-1", "beta", "2", tokens: &tokens)
            try await lab.endAgents("alpha")
            let deaf = try await lab.weft("beta-1", "join", target)
            #expect(deaf.code == 1 && deaf.error.contains("can't be reached"), "\(deaf)")
            try await lab.startAgents(of: lab.nodes(of: "alpha"))
            _ = try await awaiting("alpha to listen again", atMost: .seconds(20)) {
                try await lab.weft("beta-1", "join", target).code == 0 ? true : nil
            }
            // Both know it before either's ledger may have told it to anybody.
            try await lab.endAgents("alpha")
            try await lab.endAgents("beta")
            try await lab.startAgents(of: lab.nodes(of: "alpha", "beta"))
            try await lab.converge(lab.nodes(of: "alpha", "beta"), joined: ["alpha", "beta"])
            // Repeated, it changes nothing.
            let again = try await lab.weft("beta-1", "join", target)
            #expect(again.code == 0 && again.out.contains("already"), "\(again)")
        }
    }

    @Test("a node gets its first certificate for a token")
    func node() async throws {
        var file = Self.file(nodes: 2)
        file.clusters = [file.clusters[0]]
        try await withLab(file) { lab in
            let second = lab.plan.nodes[1]
            let trust = "\(lab.plan.folder(of: second))/trust"
            try await lab.endAgents("alpha/alpha-2")
            for name in ["node.pem", "ca.pem"] { try LabFolder.remove("\(trust)/\(name)") }
            var tokens: [String] = []
            let target = try await lab.token("alpha-1", "alpha-2", tokens: &tokens)
            let said = try await lab.weft("alpha-2", "node", "join", target, "--trust", trust)
            #expect(said.code == 0 && said.out.contains("alpha-2"), "\(said)")
            #expect(try LabFolder.names(in: trust) == ["ca.pem", "node.pem"])
            try await lab.startAgents(of: [second])
            try await lab.converge(lab.plan.nodes)
            let agent = lab.agent(of: lab.plan.nodes[0])
            _ = try await awaiting("a link to alpha-2", atMost: .seconds(20)) {
                try await agent.status().links.contains {
                    $0.peer.hasSuffix("alpha-2") && $0.state == .connected
                }
                    ? true : nil
            }
            let other = try await lab.weft(
                "alpha-2", "node", "join", target, "--trust", "\(trust)2")
            #expect(other.code == 1 && other.error.contains("used by another key"), "\(other)")
            try lab.expectNoLeak(of: tokens)
        }
    }
}
