// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import Testing

@testable import MeshLab

extension Lab {
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
        #expect([1, 5].contains(said.code) && said.error.contains(sentence), "\(said)")
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
            let chosen = try await lab.weft("alpha-1", "cluster", "introducers", "beta")
            #expect(chosen.code == 0 && chosen.out.contains("admitted by 'beta'"), "\(chosen)")
            try await lab.converge(lab.plan.nodes, joined: ["alpha", "beta", "gamma"])
            let shown = try await lab.weft("alpha-1", "cluster", "introducers")
            #expect(shown.out.hasPrefix("alpha, beta (chosen here"), "\(shown)")
            try await lab.refused(
                "alpha-1", "cluster", "introducers", "delta", saying: "no cluster 'delta'")
            _ = try await lab.weft("alpha-1", "cluster", "introducers", "--founder")
            try await lab.awaitState("alpha-1", of: "gamma", .pending)
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

    @Test("tokens are listed without what is secret, taken back, and end; operators' files count")
    func tokens() async throws {
        var file = Self.file(nodes: 1)
        file.clusters.removeLast()
        try await withLab(file) { lab in
            var tokens: [String] = []
            let target = try await lab.token("alpha-1", "beta", "2", tokens: &tokens)
            let list = try await lab.weft("alpha-1", "join", "tokens", "-o", "json")
            let row = try #require(try decode([TokenStatus].self, list.out).first)
            #expect(row.state == .open && row.subject == "cluster 'beta' (ID 2)")
            let table = try await lab.weft("alpha-1", "join", "tokens")
            #expect(table.out.contains(row.id) && table.out.contains("open"), "\(table)")
            for text in [list.out, table.out] {
                #expect(!text.contains(tokens[0].dropFirst("weft1-".count)))
            }
            let revoked = try await lab.weft("alpha-1", "join", "tokens", "revoke", row.id)
            #expect(revoked.code == 0, "\(revoked)")
            try await lab.refused("beta-1", "join", target, saying: "isn't known there")
            try await lab.refused(
                "alpha-1", "join", "tokens", "revoke", row.id, saying: "there is no token")

            let short = try await lab.weft(
                "alpha-1", "join", "token", "beta", "--id", "2", "--valid-for", "1")
            _ = try await awaiting("the token's end", atMost: .seconds(20)) {
                try await lab.agent(of: lab.plan.nodes[0]).tokens().contains {
                    $0.state == .expired
                }
                    ? true : nil
            }
            try await lab.refused(
                "beta-1", "join", String(short.out.dropLast()), saying: "the token expired at")

            // An operator's file at alpha, of a cluster that needn't answer.
            let path = "\(lab.plan.folder(of: lab.plan.nodes[0]))/peers.d/delta.yaml"
            func name(_ name: String, _ id: Int, _ prefix: String) throws {
                try LabFolder.write(
                    "name: \(name)\nid: \(id)\naddresses: ['172.31.9.1:4790']\nbundle: none\n"
                        + "charter: {podPrefixes: ['\(prefix)']}\n", to: path)
            }
            let again = try await lab.token("alpha-1", "beta", "2", tokens: &tokens)
            for (id, prefix, sentence) in [
                (2, "10.99.0.0/16", "ID 2 belongs to cluster 'delta'"),
                (9, lab.plan.clusters[1].podPrefixes[0], "of cluster 'delta'"),
            ] {
                try name("delta", id, prefix)
                try await lab.refused("beta-1", "join", again, saying: sentence)
            }
            try await lab.refused(
                "alpha-1", "join", "token", "delta", "--id", "7",
                saying: "a cluster named 'delta'")
            try LabFolder.remove(path)
            try await lab.join("beta-1", again)
            let log = try await lab.weft(
                "alpha-1", "ca", "log", "--trust", "\(lab.plan.folder(of: lab.plan.nodes[0]))/trust"
            )
            for action in ["token-made", "token-revoked", "token-used"] {
                #expect(log.out.contains(action))
            }
            try lab.expectNoLeak(of: tokens)
        }
    }

    @Test("who takes a forgotten cluster's name begins anew: its first denial counts everywhere")
    func anew() async throws {
        var file = Self.file(nodes: 2)
        file.clusters.removeLast()
        try await withLab(file) { lab in
            var tokens: [String] = []
            let (alpha, beta) = (lab.nodes(of: "alpha"), lab.nodes(of: "beta"))
            func join() async throws {
                try await lab.join(
                    "beta-1", try await lab.token("alpha-1", "beta", "2", tokens: &tokens))
                try await lab.converge(lab.plan.nodes, joined: ["alpha", "beta"])
            }
            /// Waits until alpha's nodes know of no other denial.
            func awaitDenials(_ reasons: Set<String>) async throws {
                for node in alpha {
                    _ = try await awaiting("\(reasons) at \(node.name)", atMost: .seconds(30)) {
                        let denials = try await lab.agent(of: node).denials()
                        return Set(denials.map(\.reason)) == reasons ? true : nil
                    }
                }
            }
            func deny(_ node: String, _ reason: String) async throws {
                try await lab.agent(of: beta[0]).deny(
                    DenyRequest(
                        subject: DenialSubject(node: node), reason: reason, isLocal: false))
            }
            try await join()
            try await deny("beta-8", "first")
            try await deny("beta-9", "second")
            try await awaitDenials(["first", "second"])
            // One of alpha's nodes hears of nothing of what follows.
            try await lab.endAgents("alpha/alpha-2")
            let forgotten = try await lab.weft("alpha-1", "cluster", "forget", "beta")
            #expect(forgotten.code == 0, "\(forgotten)")
            try await lab.endAgents("beta")
            for node in beta {
                for name in ["trust", "state", "peers.d"] {
                    // Its endpoints are still there.
                    try Self.empty(
                        "\(lab.plan.folder(of: node))/\(name)", except: "endpoints.json")
                }
            }
            _ = try LabTrust(plan: lab.plan).issue(for: lab.plan.clusters[1])
            try await lab.startAgents(of: [beta[0]])
            _ = try await awaiting("alpha to have no peers", atMost: .seconds(20)) {
                try LabFolder.names(in: "\(lab.plan.folder(of: alpha[0]))/peers.d").isEmpty
                    ? true : nil
            }
            try await lab.startAgents(of: [alpha[1]])
            // What it asks to announce follows from its nodes: one is missing.
            let early = try await lab.token("alpha-1", "beta", "2", tokens: &tokens)
            try await lab.refused("beta-1", "join", early, saying: "'beta-2' hasn't said")
            try await lab.refused(
                "beta-1", "join", "token", "gamma", "--id", "3", saying: "'beta-2' hasn't said")
            try await lab.startAgents(of: [beta[1]])
            try await lab.converge(beta, joined: ["beta"])
            try await join()
            try await deny("beta-9", "anew")
            try await awaitDenials(["anew"])
        }
    }

    private static func empty(_ folder: String, except kept: String) throws {
        for name in try LabFolder.names(in: folder) where name != kept {
            let path = "\(folder)/\(name)"
            if LabFolder.isFolder(path) {
                try empty(path, except: kept)
                guard rmdir(path) == 0 else { throw LabError.system("remove \(path)") }
            } else {
                try LabFolder.remove(path)
            }
        }
    }

    private static let fakeClock = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"

    @Test(
        "a node whose clock is far off is refused, and told so",
        .enabled(if: LabFolder.exists(fakeClock), "needs libfaketime"))
    func skew() async throws {
        var file = Self.file(nodes: 2)
        file.clusters = [file.clusters[0]]
        try await withLab(file) { lab in
            var tokens: [String] = []
            let target = try await lab.token("alpha-1", "alpha-2", tokens: &tokens)
            let folder = "\(lab.plan.stateFolder)/elsewhere"
            for offset in ["-10m", "+10m"] {
                let said = try await lab.weft(
                    "alpha-2", ["node", "join", target, "--trust", folder],
                    environment: [
                        "LD_PRELOAD=\(Self.fakeClock)", "FAKETIME=\(offset)",
                        "FAKETIME_DONT_FAKE_MONOTONIC=1",
                    ])
                #expect(said.code == 1 && said.error.contains("the clocks differ by"), "\(said)")
            }
            let said = try await lab.weft("alpha-2", "node", "join", target, "--trust", folder)
            #expect(said.code == 0, "\(said)")
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
