// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct KernelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bpf", abstract: "What the kernel really holds.",
        subcommands: [Maps.self, Services.self, Connections.self])

    struct Maps: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "maps", abstract: "The maps, and how full they are.",
            discussion: """
                  weft bpf maps
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [MapUsage] { try await client.maps() }

        func render(_ maps: [MapUsage]) -> String {
            Table(
                [
                    "MAP", "TYPE", .right("KEY"), .right("VALUE"), .right("ENTRIES"),
                    .right("MAXIMUM"), .right("MEMORY"),
                ], rows: maps
            ) {
                [
                    $0.name, $0.type, "\($0.keyBytes) B", "\($0.valueBytes) B",
                    $0.entries.map { "\($0)" } ?? "", "\($0.maximumEntries)",
                    $0.memoryBytes.map(Format.bytes) ?? "",
                ]
            }.text
        }
    }

    struct Services: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "services", abstract: "The services as the programs see them.",
            discussion: """
                  weft bpf services -o json
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [KernelService] {
            try await client.kernelServices()
        }

        func render(_ services: [KernelService]) -> String {
            var table = Table([
                "FRONTEND", .right("SLOT"), .right("LIST"), .right("GENERATION"),
                .right("CLUSTER"), .right("TIER"), .right("WEIGHT"), "BACKENDS",
            ])
            for service in services {
                let heading = [
                    "\(Format.socket(service.address, service.port))/\(service.transport)",
                    "\(service.slot)", "\(service.list)", "\(service.generation)",
                ]
                if service.slices.isEmpty { table.add(heading + ["", "", "", ""]) }
                for slice in service.slices {
                    table.add(
                        heading + [
                            "\(slice.cluster)", "\(slice.tier)",
                            "\(slice.weight)×\(slice.clusterWeight)",
                            slice.backends.map(Self.backend).joined(separator: " "),
                        ])
                }
            }
            return table.text
        }

        private static func backend(_ backend: KernelBackend) -> String {
            Format.socket(backend.address, backend.port)
                + (backend.nodeWeight == 0 ? "(off)" : "")
        }
    }

    struct Connections: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "conntrack", abstract: "The connections that are tracked.",
            discussion: """
                  weft bpf conntrack
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions

        func ask(_ client: AdminClient) async throws -> [ConnectionEntry] {
            try await client.connections()
        }

        func render(_ connections: [ConnectionEntry]) -> String {
            Table(
                [
                    "PROTOCOL", .state("STATE"), "SOURCE", "DESTINATION", "FRONTEND",
                    .right("CLUSTER"),
                    .right("AGE"), .right("IDLE"), .right("SENT"), .right("RECEIVED"),
                ], rows: connections
            ) {
                [
                    $0.transport, $0.state.rawValue,
                    Format.socket($0.source.address, $0.source.port),
                    Format.socket($0.destination.address, $0.destination.port),
                    $0.frontend ?? "", "\($0.cluster)", Format.age($0.ageSeconds),
                    Format.age($0.idleSeconds), Format.bytes($0.source.bytes),
                    Format.bytes($0.destination.bytes),
                ]
            }.text
        }
    }
}
