// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshModel

struct ServiceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "The services of this cluster, with all that serve them.",
        subcommands: [List.self, Get.self])

    struct List: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Every service, a line for each address and port.",
            discussion: """
                  weft service list
                  weft service list -w
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [ServiceStatus] {
            try await client.services()
        }

        func render(_ services: [ServiceStatus]) -> String {
            Table(
                [
                    "NAMESPACE", "NAME", "ADDRESS", "PROTOCOL", "GLOBAL", "AFFINITY",
                    .state("STATE"),
                    "BACKENDS (LIVE/ALL)",
                ], rows: services
            ) {
                [
                    $0.namespace, $0.name, Format.socket($0.address, $0.port), $0.transport,
                    Format.yes($0.isGlobal), $0.affinity.rawValue,
                    [$0.state.rawValue, $0.reason].compactMap(\.self).joined(separator: ": "),
                    $0.slices.map(Self.share).joined(separator: ", "),
                ]
            }.text
        }

        private static func share(_ slice: SliceStatus) -> String {
            let live = slice.isLive ? slice.backends.count { $0.isLive && $0.quarantine == nil } : 0
            return "\(slice.cluster.name) \(live)/\(slice.backends.count)"
        }
    }

    struct Get: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "get", abstract: "One service: its clusters, tiers and backends.",
            discussion: """
                  weft service get shop/web
                  weft service get shop/web -o json
                """)

        @Argument(help: ArgumentHelp("The service.", valueName: "namespace/name"))
        var service: ObjectArgument
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [ServiceStatus] {
            try await client.service(service.object)
        }

        func render(_ frontends: [ServiceStatus]) -> String {
            frontends.map { Self.heading($0) + Self.backends($0) }.joined(separator: "\n")
        }

        private static func heading(_ frontend: ServiceStatus) -> String {
            var facts = [frontend.isGlobal ? "global, affinity \(frontend.affinity)" : "local"]
            if frontend.sessionAffinitySeconds > 0 {
                facts.append(
                    "clients stay for \(Format.age(Double(frontend.sessionAffinitySeconds)))")
            }
            facts.append(
                [frontend.state.rawValue, frontend.reason].compactMap(\.self)
                    .joined(separator: ": "))
            let port = frontend.portName.isEmpty ? "" : " (\(frontend.portName))"
            return "\(frontend.namespace)/\(frontend.name) at "
                + "\(Format.socket(frontend.address, frontend.port))/\(frontend.transport)\(port): "
                + facts.joined(separator: ", ") + "\n"
        }

        private static func backends(_ frontend: ServiceStatus) -> String {
            let rows = frontend.slices.flatMap { slice in slice.backends.map { (slice, $0) } }
            return Table(
                [
                    "CLUSTER", .right("TIER"), .right("WEIGHT"), "BACKEND", "NODE",
                    .state("TAKES NEW FLOWS"),
                ], rows: rows
            ) { slice, backend in
                [
                    slice.cluster.name, "\(slice.tier)", "\(slice.weight)",
                    Format.socket(backend.address, backend.port), backend.node,
                    availability(slice, backend),
                ]
            }.text
        }

        private static func availability(_ slice: SliceStatus, _ backend: BackendStatus) -> String {
            if !slice.isLive { return "no: cluster" }
            if !backend.isLive { return "no: node" }
            return backend.quarantine.map {
                "no: quarantined for \(Format.age($0.sinceSeconds)): \($0.reason)"
            } ?? "yes"
        }
    }
}
