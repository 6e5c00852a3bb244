// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import MeshAdmin

struct BugReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bugreport",
        abstract: "Collect everything that an engineer needs to know in one archive.",
        discussion: """
            Asks the agent of this node for all that it shows, and the machine for what it is; changes \
            nothing. Keys, certificates' keys and tokens are in none of it, and what looks like one in a \
            log is taken out; names, labels and addresses of workloads are in it. What can't be had is \
            left out and noted in manifest.json: without an agent, or without root, the rest is there. \
            At most 64 MiB before compression.

              weft bugreport
              weft bugreport --file /tmp/report.tar.gz --log /var/log/weftd.log
              sudo weft bugreport
            """)

    @Option(
        help: ArgumentHelp(
            "The archive to write, which must not exist; default: by node and time, in this folder.",
            valueName: "path"))
    var file: String?
    @Option(
        name: .customLong("log"),
        help: ArgumentHelp(
            "A log to add the end of; may be repeated. Default: the system's journal of weftd.",
            valueName: "path"))
    var logs: [String] = []
    @OptionGroup var agent: AgentOptions

    /// Pieces that the agent answers, in the order of their worth.
    private static let documents: [(name: String, path: String)] = [
        ("status.json", "/v1/status"), ("clusters.json", "/v1/clusters"),
        ("nodes.json", "/v1/nodes"), ("configuration.json", "/v1/configuration"),
        ("drops.json", "/v1/drops"), ("metrics.prom", "/metrics"),
        ("policies.json", "/v1/policies"), ("services.json", "/v1/services"),
        ("trust.json", "/v1/ca/status"), ("denials.json", "/v1/ca/denials"),
        ("departure.json", "/v1/node/departure"), ("gossip-keys.json", "/v1/node/gossip-keys"),
        ("maps.json", "/v1/bpf/maps"), ("flows.jsonl", "/v1/flows"),
        ("endpoints.json", "/v1/endpoints"), ("identities.json", "/v1/identities"),
        ("kernel-services.json", "/v1/bpf/services"),
        ("connections.json", "/v1/bpf/connections"),
    ]
    private static let storiesMaximum = 64

    func run() async throws {
        let client = agent.reading
        // Whoever isn't there is noted with the first piece.
        let status = try? await client.status()
        let name = Self.name(of: status)
        let path = file ?? "\(name).tar.gz"
        Console.error("Collecting into \(path):\n")
        var report = try BugReport(creating: path, folder: name)
        for document in Self.documents {
            try await report.add(document.name) { try await client.document(document.path) }
        }
        try await addStories(to: &report, client)
        let folders = await Self.folders(client)
        try await report.add("sizes.txt") { MachineFacts.sizes(of: folders.all) }
        try await report.add("machine.txt") { MachineFacts.text() }
        try await report.add("version.txt") { Array("\(weftVersion)\n".utf8) }
        if let pins = folders.pins {
            for map in MachineFacts.maps {
                try await report.add("maps/\(map).jsonl") {
                    try MachineFacts.dump(map, in: "\(pins)/maps")
                }
            }
        }
        for (index, log) in logs.enumerated() {
            let last = log.split(separator: "/").last.map(String.init) ?? "log"
            try await report.add("logs/\(index)-\(last.suffix(60))", keeping: .end) {
                try MachineFacts.tail(of: log)
            }
        }
        if logs.isEmpty {
            try await report.add("logs/journal.txt", keeping: .end) { try MachineFacts.journal() }
        }
        let pieces = try report.finish(socket: client.socketPath)
        let missing = pieces.count { $0.problem != nil }
        Console.out(
            "\(path): \(pieces.count - missing) of \(pieces.count) pieces"
                + (missing == 0 ? "" : "; manifest.json in it says why the others are missing")
                + ".\n")
    }

    /// What is believed of each cluster, and how that came.
    private func addStories(to report: inout BugReport, _ client: AdminClient) async throws {
        // Why they can't be had stands beside clusters.json.
        guard let clusters = try? await client.clusters() else { return }
        let troubled = clusters.filter { $0.verdict != .up } + clusters.filter { $0.verdict == .up }
        for cluster in troubled.prefix(Self.storiesMaximum) {
            try await report.add("why/\(cluster.name).json") {
                try adminJSON(try await client.why(cluster.name))
            }
        }
    }

    /// The agent's folders, by its configuration.
    private static func folders(
        _ client: AdminClient
    ) async -> (all: [String], pins: String?) {
        // Why not, stands beside configuration.json.
        guard let settings = try? await client.configuration().settings else { return ([], nil) }
        let paths = settings.filter { $0.key.hasPrefix("paths.") && $0.key != "paths.cgroup" }
        return (
            paths.compactMap(\.value), settings.first { $0.key == "paths.bpf" }?.value
        )
    }

    private static func name(of status: AgentStatus?) -> String {
        let place = status.map { "\($0.cluster.name)-\($0.node)-" } ?? ""
        let time = Date().ISO8601Format().filter { $0 != "-" && $0 != ":" }
        return "weft-bugreport-\(place)\(time)"
    }
}
