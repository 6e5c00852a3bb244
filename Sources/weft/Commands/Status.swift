// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct StatusCommand: ListCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "How the agent of this node is.",
        discussion: """
              weft status
              weft status -w
              weft status -o json | jq .health
            """)

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var watch: WatchOptions

    func ask(_ client: AdminClient) async throws -> AgentStatus { try await client.status() }

    func render(_ status: AgentStatus) -> String {
        var parts = [Self.summary(status)]
        if !status.warnings.isEmpty {
            parts.append("Warnings\n" + status.warnings.map { "  \($0)\n" }.joined())
        }
        parts.append(Self.ledgers(status.ledgers))
        if !status.links.isEmpty { parts.append(Self.links(status.links)) }
        if !status.sources.isEmpty { parts.append(Self.sources(status.sources)) }
        if !status.rejections.isEmpty { parts.append(Self.rejections(status.rejections)) }
        if !status.manifestProblems.isEmpty {
            parts.append(Self.problems(status.manifestProblems))
        }
        return parts.joined(separator: "\n")
    }

    private static func summary(_ status: AgentStatus) -> String {
        let state = status.health.state.rawValue
        let tone = Tone(ofState: state)
        let health =
            [tone?.paint(state, Console.isColoured) ?? state] + status.health.reasons
        let publisher = Self.publisher(status.publisher)
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

    private static func publisher(_ publisher: PublisherStatus) -> String {
        if publisher.isLocal {
            let safe = publisher.acknowledged.map { ", acknowledged up to \($0)" } ?? ""
            return "this node" + safe + (publisher.isAlone ? ", on no other node" : "")
        }
        guard let node = publisher.node else { return "none" }
        return "\(node), \(publisher.isReachable ? "reachable" : "out of reach")"
    }

    private static func ledgers(_ ledgers: [LedgerStatus]) -> String {
        Table(
            [
                "LEDGER", .right("POSITION"), .right("AGE"), .right("RECORDS"),
                .right("QUARANTINED"), .right("REFUSED"), .state("STATE"),
            ], rows: ledgers
        ) {
            [
                $0.cluster.name, "\($0.epoch).\($0.revision)",
                Format.age($0.ageSeconds), "\($0.records)",
                "\($0.quarantined)", "\($0.refused)", $0.isFrozen ? "frozen" : "following",
            ]
        }.text
    }

    private static func links(_ links: [LinkStatus]) -> String {
        Table(["LINK", .state("STATE"), .right("SINCE"), "LAST ERROR"], rows: links) {
            [$0.peer, $0.state.rawValue, Format.age($0.sinceSeconds), $0.lastError ?? ""]
        }.text
    }

    private static func sources(_ sources: [SourceStatus]) -> String {
        Table(
            ["WATCHED", "STATE", .right("SINCE"), .right("OBJECTS"), "LAST ERROR"], rows: sources
        ) {
            [
                $0.resource, $0.state.rawValue, Format.age($0.sinceSeconds), "\($0.objects)",
                $0.lastError ?? "",
            ]
        }.text
    }

    private static func rejections(_ rejections: [RejectionStatus]) -> String {
        Table(["REJECTED FROM", "REASON", .right("MESSAGES")], rows: rejections) {
            [$0.peer, $0.reason, "\($0.messages)"]
        }.text
    }

    private static func problems(_ problems: [ManifestProblem]) -> String {
        Table(["MANIFEST", .right("LINE"), "PROBLEM"], rows: problems) {
            [$0.file, $0.line.map(String.init) ?? "", $0.message]
        }.text
    }
}
