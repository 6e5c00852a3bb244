// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshModel

struct EndpointCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endpoint", abstract: "The workloads of the mesh.",
        subcommands: [List.self, Attach.self, Detach.self])

    fileprivate static func table(_ endpoints: [EndpointStatus]) -> String {
        Table(
            [
                "NAMESPACE", "NAME", "CLUSTER", "NODE", "ADDRESSES", "IDENTITY", .state("STATE"),
                "LABELS",
            ], rows: endpoints
        ) {
            [
                $0.namespace, $0.name, $0.cluster.name, $0.isLocal ? "\($0.node) (this)" : $0.node,
                $0.addresses.joined(separator: ","), Format.identity($0.identity),
                [$0.state.rawValue, $0.reason].compactMap(\.self).joined(separator: ": "),
                Format.labels($0.labels),
            ]
        }.text
    }

    struct List: ListCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Every endpoint that this node knows.",
            discussion: """
                  weft endpoint list
                  weft endpoint list --local -o json
                """)

        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var watch: WatchOptions
        @Flag(help: "Only endpoints of this node.") var local = false

        func ask(_ client: AdminClient) async throws -> [EndpointStatus] {
            try await client.endpoints(ofThisNode: local)
        }

        func render(_ endpoints: [EndpointStatus]) -> String { table(endpoints) }
    }

    struct Attach: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "attach",
            abstract: "Give the workload in a network namespace an address in the mesh.",
            discussion: """
                  weft endpoint attach shop/web-0 --netns /run/netns/web --label app=web
                """)

        @Argument(help: ArgumentHelp("What to call it.", valueName: "namespace/name"))
        var endpoint: ObjectArgument
        @Option(
            name: .customLong("netns"),
            help: ArgumentHelp(
                "Its network namespace: /run/netns/NAME or /proc/PID/ns/net.", valueName: "path"))
        var namespacePath: String
        @Option(
            name: .customLong("label"),
            help: ArgumentHelp("A label; may be repeated.", valueName: "key=value"))
        var labels: [LabelArgument] = []
        @Option(
            name: .customLong("address"),
            help: ArgumentHelp(
                "An address to give; may be repeated. Default: the node chooses.",
                valueName: "address"))
        var addresses: [String] = []
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let request = AttachRequest(
                namespace: endpoint.object.namespace, name: endpoint.object.name,
                labels: Dictionary(labels.map { ($0.key, $0.value) }) { _, last in last },
                namespacePath: namespacePath, addresses: addresses.isEmpty ? nil : addresses)
            try output.show(try await agent.administration.attach(request)) { table([$0]) }
        }
    }

    struct Detach: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "detach", abstract: "Take a workload of this node out of the mesh.",
            discussion: """
                  weft endpoint detach shop/web-0
                """)

        @Argument(help: ArgumentHelp("The endpoint.", valueName: "namespace/name"))
        var endpoint: ObjectArgument
        @OptionGroup var agent: AgentOptions

        func run() async throws {
            try await agent.administration.detach(endpoint.object)
            Console.out("\(endpoint.object) is detached.\n")
        }
    }
}

struct LabelArgument: ExpressibleByArgument {
    let key: String
    let value: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else { return nil }
        key = String(parts[0])
        value = String(parts[1])
    }
}
