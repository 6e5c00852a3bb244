// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshAgent
import MeshLab

extension LabCommand {
    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "up",
            abstract: "Make a lab, and wait until every cluster knows every other.",
            discussion: """
                Without a file: three clusters of two nodes, one global service.

                  weft lab up
                  weft lab up mesh.yaml --lab mine
                """)

        @Argument(help: ArgumentHelp("What to make, in YAML.", valueName: "file"))
        var file: String?
        @OptionGroup var options: Options

        func run() async throws {
            let lab = try await Lab.up(try read(), name: options.name) { Console.error("\($0)\n") }
            let example = lab.plan.endpoints.first { $0.command == nil }?.name ?? "ENDPOINT"
            let argument = options.name == Lab.defaultName ? "" : " --lab \(options.name)"
            Console.out(
                """
                Lab \(options.name) is up. Look into it with
                  weft lab list
                  weft lab exec\(argument) \(example) -- CMD
                and end it with
                  weft lab down\(argument)

                """)
        }

        private func read() throws -> LabFile {
            guard let file else { return .builtIn }
            let bytes = try InputFile.read(file, bytesMaximum: LabFile.bytesMax)
            return try LabFile(yaml: String(decoding: bytes, as: UTF8.self), name: file)
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "down", abstract: "Remove a lab, or what a crash left of it.",
            discussion: """
                  weft lab down
                  weft lab down --all
                """)

        @OptionGroup var options: Options
        @Flag(help: "Remove every lab.") var all = false

        func run() async throws {
            try checkIsRoot("a lab's namespaces and processes are root's")
            for name in all ? try Lab.names() : [options.name] {
                try await Lab.down(name) { Console.error("\(name): \($0)\n") }
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "The labs that there are, node by node.",
            discussion: """
                  weft lab list
                """)

        @OptionGroup var output: OutputOptions

        struct Node: Encodable {
            let lab: String
            let cluster: String
            let node: String
            let agentRuns: Bool
            let underlay: String
            let endpoints: [String]
            let socket: String
        }

        func run() throws {
            var nodes: [Node] = []
            for name in try Lab.names() {
                do {
                    nodes += try Self.nodes(of: name)
                } catch let error as LabError {
                    Console.error(
                        "\(name): \(error); 'weft lab down --lab \(name)' removes what is left\n")
                }
            }
            try output.show(nodes, Self.render)
        }

        private static func nodes(of name: String) throws -> [Node] {
            let lab = try Lab(named: name)
            return try lab.plan.clusters.flatMap { cluster in
                try cluster.nodes.map { node in
                    Node(
                        lab: name, cluster: cluster.name, node: node.name,
                        agentRuns: try lab.isRunning(node), underlay: node.underlay,
                        endpoints: cluster.endpoints.filter { $0.node == node.name }.map(\.name),
                        socket: "\(lab.plan.runFolder(of: node))/weft.sock")
                }
            }
        }

        static func render(_ nodes: [Node]) -> String {
            Table(
                ["LAB", "CLUSTER", "NODE", "AGENT", "UNDERLAY", "ENDPOINTS", "SOCKET"],
                rows: nodes
            ) {
                [
                    $0.lab, $0.cluster, $0.node, $0.agentRuns ? "runs" : "dead", $0.underlay,
                    $0.endpoints.joined(separator: ","), $0.socket,
                ]
            }.text
        }
    }

    struct Logs: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "logs", abstract: "What agents and workloads wrote.",
            discussion: """
                  weft lab logs alpha
                """)

        @Argument(
            help: ArgumentHelp(
                "A cluster, a node or an endpoint. Default: all.", valueName: "target"))
        var target: String?
        @OptionGroup var options: Options

        func run() throws {
            let files = try options.lab().logs(target)
            for file in files {
                if files.count > 1 { Console.out("==> \(file) <==\n") }
                Console.out(
                    String(decoding: try Data(contentsOf: URL(filePath: file)), as: UTF8.self))
            }
        }
    }
}
