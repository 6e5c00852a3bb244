// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct FlowsCommand: AsyncParsableCommand {
    /// Flows that happened already, before those to follow.
    private static let lastWhenFollowing = 10

    static let configuration = CommandConfiguration(
        commandName: "flows",
        abstract: "What happened to connections, here or in the whole cluster.",
        discussion: """
            weft flows -f -A -n shop                       everything of a namespace, as it happens
            weft flows --verdict denied --to port=5432     who isn't let to a database
            weft flows --from cluster=beta --service web   what another cluster asks of a service
            weft flows -l app=web --not cluster=alpha      of a label, but not with alpha

            Filters are evaluated by the agents. With -A each node is asked through its link to this one; \
            a node that can't be is named, and so is one that lost records. With -o json each line is an \
            object: type opened, closed, denied, dropped, reset or audited is a flow, node says that a \
            node can't be reached, or can again, lost that records are missing.
            """)

    @Flag(name: .shortAndLong, help: "Go on with what happens from now on.")
    var follow = false
    @Flag(name: [.customShort("A"), .long], help: "Of every node of this cluster.")
    var allNodes = false
    @Option(
        help: ArgumentHelp(
            "So many that happened already, of those kept. Default: all, with -f 10.",
            valueName: "count"))
    var last: Int?
    @OptionGroup(title: "Filters") var filters: FlowOptions
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard last.map((0...FlowQuestion.lastMaximum).contains) ?? true else {
            throw ValidationError("--last is a number up to \(FlowQuestion.lastMaximum).")
        }
    }

    func run() async throws {
        let question = FlowQuestion(
            try filters.filter(),
            last: last ?? (follow ? Self.lastWhenFollowing : FlowQuestion.lastMaximum),
            follow: follow, allNodes: allNodes)
        let printer = FlowPrinter(format: output.output)
        try await agent.reading.show(question, printer)
    }

    /// `TIME NODE opened TCP shop/web-0 (10.1.0.5:40000) -> 10.96.0.7:80 = shop/api-1 …`
    static func line(_ flow: Flow) -> String {
        var words = [Format.time(unixMilliseconds: flow.timeUnixMilliseconds)]
        if let node = flow.node { words.append(node) }
        let isLabelled = flow.policy != nil
        words += [
            flow.type.rawValue, flow.transport, peer(flow.source, isLabelled: isLabelled), "->",
        ]
        if let frontend = flow.frontend { words += [frontend, "="] }
        words.append(peer(flow.destination, isLabelled: isLabelled))
        if let service = flow.destination.service { words.append("of \(service)") }
        if let reason = flow.reason { words.append("reason=\(reason)") }
        if let policy = flow.policy { words.append("(\(policy))") }
        if flow.packets > 0 {
            words.append("\(flow.packets) packets, \(Format.bytes(flow.bytes))")
        }
        return words.joined(separator: " ")
    }

    private static func peer(_ peer: FlowPeer, isLabelled: Bool) -> String {
        let address = Format.socket(peer.address, peer.port)
        guard let namespace = peer.namespace, let name = peer.name else { return address }
        let labels = isLabelled ? peer.labels.map { " {\(Format.labels($0))}" } ?? "" : ""
        return "\(peer.cluster.map { "\($0):" } ?? "")\(namespace)/\(name) (\(address))\(labels)"
    }
}
