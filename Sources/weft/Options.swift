// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshAdmin
import MeshModel

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
}

/// Which agent to ask.
struct AgentOptions: ParsableArguments {
    @Option(
        name: .customLong("socket"),
        help: ArgumentHelp(
            "The agent's unix socket.",
            discussion: """
                Default: $WEFT_SOCKET, then \(AdminClient.defaultSocketPath). Commands that change \
                something use weft-admin.sock in the same folder.
                """, valueName: "path"))
    var socket: String?

    private var path: String {
        socket ?? getenv("WEFT_SOCKET").map { String(cString: $0) }
            ?? AdminClient.defaultSocketPath
    }

    var reading: AdminClient { AdminClient(socketPath: path) }

    /// Attaching waits for the kernel and for the publisher.
    var administration: AdminClient {
        AdminClient(
            socketPath: administrationSocketPath(beside: path), timeout: .seconds(30))
    }
}

/// `weft.sock` becomes `weft-admin.sock`; a socket of any other name is taken as it is.
func administrationSocketPath(beside path: String) -> String {
    let suffix = "weft.sock"
    guard path == suffix || path.hasSuffix("/" + suffix) else { return path }
    return path.dropLast(suffix.count) + "weft-admin.sock"
}

struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "table, for people, or json, for programs.")
    var output = OutputFormat.table

    /// Prints what was asked for: as JSON, or as `text` says it.
    func show<Answer: Encodable>(_ answer: Answer, _ text: (Answer) -> String) throws {
        switch output {
        case .table: Console.out(text(answer))
        case .json:
            Console.out(String(decoding: try adminJSON(answer, pretty: true), as: UTF8.self) + "\n")
        }
    }
}

/// A command that asks the agent one thing and shows the answer.
protocol ReadingCommand: AsyncParsableCommand {
    associatedtype Answer: Encodable

    var agent: AgentOptions { get }
    var output: OutputOptions { get }
    func ask(_ client: AdminClient) async throws -> Answer
    func render(_ answer: Answer) -> String
}

extension ReadingCommand {
    func run() async throws {
        try output.show(try await ask(agent.reading), render)
    }
}

/// `namespace/name`, or `name` in the namespace `default`.
struct ObjectArgument: ExpressibleByArgument {
    let object: ObjectName

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
            .map(String.init)
        guard (1...2).contains(parts.count) else { return nil }
        object = ObjectName(
            namespace: parts.count == 2 ? parts[0] : "default", name: parts[parts.count - 1])
        guard isLabel(object.namespace), isSubdomain(object.name) else { return nil }
    }
}
