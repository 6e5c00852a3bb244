// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "The clusters of the mesh.",
        subcommands: [List.self, Accept.self, Forget.self, Introducers.self])

    struct List: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "What this node believes about every cluster.",
            discussion: """
                  weft cluster list
                  weft cluster list --paths -w
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions
        @Flag(help: "Show every pair of relays.") var paths = false

        func ask(_ client: AdminClient) async throws -> [ClusterStatus] {
            try await client.clusters()
        }

        func render(_ clusters: [ClusterStatus]) -> String {
            paths ? Self.paths(clusters) : Self.clusters(clusters)
        }

        private static func clusters(_ all: [ClusterStatus]) -> String {
            // Who is gone is remembered, so that nobody takes its place, and shown to programs.
            let clusters = all.filter {
                $0.nodes > 0 || $0.roster.map { ![.left, .forgotten].contains($0.state) } ?? true
            }
            let table = Table(
                [
                    "CLUSTER", .right("ID"), .state("MESH"), .state("VERDICT"), .right("SINCE"),
                    .right("WEIGHT"),
                    "PATHS", .right("RTT"), .right("POSITION"), .right("NODES"),
                    .right("SERVICES"), .right("ENDPOINTS"),
                ], rows: clusters
            ) { cluster in
                let up = cluster.paths.count { $0.state == .up }
                return [
                    cluster.isLocal ? "\(cluster.name) (own)" : cluster.name, "\(cluster.id)",
                    cluster.roster?.state.rawValue ?? "", cluster.verdict.rawValue,
                    Format.age(cluster.sinceSeconds),
                    "\(cluster.weight)", cluster.isLocal ? "" : "\(up)/\(cluster.paths.count) up",
                    Format.milliseconds(cluster.paths.compactMap(\.rttMilliseconds).min()),
                    "\(cluster.epoch).\(cluster.revision)", "\(cluster.nodes)",
                    "\(cluster.services)", "\(cluster.endpoints)",
                ]
            }.text
            let short = clusters.flatMap { cluster in
                [cluster.roster?.sentence, cluster.capacity?.sentence].compactMap(\.self)
                    .map { "\(cluster.name): \($0)\n" }
            }
            return short.isEmpty ? table : table + "\n" + short.joined()
        }

        private static func paths(_ clusters: [ClusterStatus]) -> String {
            let rows = clusters.flatMap { cluster in cluster.paths.map { (cluster, $0) } }
            return Table(
                [
                    "CLUSTER", "LOCAL RELAY", "REMOTE NODE", .state("STATE"), .right("RTT"),
                    .right("LAST BEAT"), "OVERLAY",
                ], rows: rows
            ) { cluster, path in
                [
                    cluster.name, path.localRelay, path.remoteNode, path.state.rawValue,
                    Format.milliseconds(path.rttMilliseconds), Format.age(path.lastBeatSeconds),
                    path.overlay?.rawValue ?? "",
                ]
            }.text
        }
    }
}
