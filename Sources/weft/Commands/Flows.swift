// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct FlowsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flows", abstract: "What happened to connections through this node.",
        discussion: "With -o json, one object a line.")

    @Flag(name: .shortAndLong, help: "Go on with what happens from now on.")
    var follow = false
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await agent.reading.flows(follow: follow) { flow in
            switch output.output {
            case .table: Console.out(Self.line(flow) + "\n")
            case .json: Console.out(String(decoding: try adminJSON(flow), as: UTF8.self) + "\n")
            }
        }
    }

    /// `TIME opened TCP shop/web-0 (10.1.0.5:40000) -> 10.96.0.7:80 = shop/api-1 …`
    static func line(_ flow: Flow) -> String {
        var words = [
            Format.time(unixMilliseconds: flow.timeUnixMilliseconds), flow.type.rawValue,
            flow.transport, peer(flow.source), "->",
        ]
        if let frontend = flow.frontend { words += [frontend, "="] }
        words.append(peer(flow.destination))
        if let reason = flow.reason { words.append("reason=\(reason)") }
        if let policy = flow.policy { words.append("(\(policy))") }
        if flow.packets > 0 {
            words.append("\(flow.packets) packets, \(Format.bytes(flow.bytes))")
        }
        return words.joined(separator: " ")
    }

    private static func peer(_ peer: FlowPeer) -> String {
        let address = Format.socket(peer.address, peer.port)
        guard let namespace = peer.namespace, let name = peer.name else { return address }
        let labels = peer.labels.map { " {\(Format.labels($0))}" } ?? ""
        return "\(peer.cluster.map { "\($0):" } ?? "")\(namespace)/\(name) (\(address))\(labels)"
    }
}
