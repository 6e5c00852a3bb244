// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct StatusCommand: ReadingCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "How the agent of this node is.")

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func ask(_ client: AdminClient) async throws -> AgentStatus { try await client.status() }

    func render(_ status: AgentStatus) -> String {
        var parts = [Self.summary(status)]
        if !status.warnings.isEmpty {
            parts.append("Warnings\n" + status.warnings.map { "  \($0)\n" }.joined())
        }
        parts.append(Self.ledgers(status.ledgers))
        if !status.links.isEmpty { parts.append(Self.links(status.links)) }
        if !status.manifestProblems.isEmpty {
            parts.append(Self.problems(status.manifestProblems))
        }
        return parts.joined(separator: "\n")
    }

    private static func summary(_ status: AgentStatus) -> String {
        let health = [status.health.state.rawValue] + status.health.reasons
        let publisher =
            status.publisher.isLocal
            ? "this node"
            : "\(status.publisher.node), \(status.publisher.isReachable ? "reachable" : "out of reach")"
        var lines = [
            ("Node", "\(status.node) of \(status.cluster.name) (\(status.cluster.id))"),
            (
                "Agent",
                "\(status.version), up \(Format.age(status.uptimeSeconds)), "
                    + Format.bytes(status.memoryBytes)
            ),
            ("Health", health.joined(separator: "; ")),
            ("Publisher", publisher),
            ("Peers", status.peers.map { "\($0.name) (\($0.id))" }.joined(separator: ", ")),
        ]
        if status.isDraining { lines.append(("Draining", "takes no new flows")) }
        if !status.ignoredKinds.isEmpty {
            let kinds = status.ignoredKinds.map { "\($0.objects) \($0.kind)" }
            lines.append(("Ignored", kinds.joined(separator: ", ")))
        }
        return lines.map { name, value in
            let padding = String(repeating: " ", count: 11 - name.count)
            return "\(name)\(padding)\(value.isEmpty ? "-" : value)\n"
        }.joined()
    }

    private static func ledgers(_ ledgers: [LedgerStatus]) -> String {
        Table(
            [
                "LEDGER", .right("POSITION"), .right("AGE"), .right("RECORDS"),
                .right("QUARANTINED"), "STATE",
            ], rows: ledgers
        ) {
            [
                $0.cluster.name, "\($0.epoch).\($0.revision)", Format.age($0.ageSeconds),
                "\($0.records)", "\($0.quarantined)", $0.isFrozen ? "frozen" : "following",
            ]
        }.text
    }

    private static func links(_ links: [LinkStatus]) -> String {
        Table(["LINK", "STATE", .right("SINCE"), "LAST ERROR"], rows: links) {
            [$0.peer, $0.state.rawValue, Format.age($0.sinceSeconds), $0.lastError ?? ""]
        }.text
    }

    private static func problems(_ problems: [ManifestProblem]) -> String {
        Table(["MANIFEST", .right("LINE"), "PROBLEM"], rows: problems) {
            [$0.file, $0.line.map(String.init) ?? "", $0.message]
        }.text
    }
}
