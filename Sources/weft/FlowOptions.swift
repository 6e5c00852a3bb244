// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

/// Which flows to show. All options that are given have to hold; of one that is given several times, one
/// of its values.
struct FlowOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Of a namespace, at either end.", valueName: "namespace"))
    var namespace: [String] = []
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("With a label, at either end.", valueName: "key[=value]"))
    var label: [String] = []
    @Option(help: ArgumentHelp("Of a cluster, at either end.", valueName: "cluster"))
    var cluster: [String] = []
    @Option(help: ArgumentHelp("Of a port or a range, at either end.", valueName: "port"))
    var port: [String] = []
    @Option(
        help: ArgumentHelp(
            "Of a service, asked for or served by.", valueName: "[namespace/]name"))
    var service: [String] = []
    @Option(name: .customLong("protocol"), help: "tcp, udp, sctp, icmp, icmpv6 or a number.")
    var transport: [String] = []
    @Option(
        help: ArgumentHelp(
            Flow.Verdict.allCases.map(\.rawValue).joined(separator: ", ") + ".",
            valueName: "verdict"))
    var verdict: [String] = []
    @Option(help: ArgumentHelp("A label of 'weft drops --all'.", valueName: "reason"))
    var reason: [String] = []
    @Option(
        help: ArgumentHelp(
            "Of the source: FIELD is namespace, name, label, cluster, address, port, identity or service.",
            valueName: "FIELD=value"))
    var from: [String] = []
    @Option(help: ArgumentHelp("Of the destination, likewise.", valueName: "FIELD=value"))
    var to: [String] = []
    @Option(
        help: ArgumentHelp(
            "What must not be: FIELD=value, from.FIELD=value or to.FIELD=value.",
            valueName: "term"))
    var not: [String] = []
    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            "Any other term, as type=closed, node=n1, name=shop/web-0, address=10.1.0.0/16.",
            valueName: "term"))
    var terms: [String] = []

    /// - Parameter more: terms besides.
    /// - Throws: a sentence about the first that is wrong.
    func filter(and more: [String] = []) throws -> FlowFilter {
        let fields: [(String, [String])] = [
            ("namespace=", namespace), ("label=", label), ("cluster=", cluster), ("port=", port),
            ("service=", service), ("protocol=", transport), ("verdict=", verdict),
            ("reason=", reason), ("from.", from), ("to.", to), ("!", not), ("", terms),
        ]
        do throws(FlowFilter.Fault) {
            return try FlowFilter(
                terms: fields.flatMap { prefix, values in values.map { prefix + $0 } } + more)
        } catch {
            throw ValidationError("\(error).")
        }
    }

    func validate() throws { _ = try filter() }
}

extension AdminClient {
    /// Prints what is asked for.
    ///
    /// - Throws: ``AdminClientError`` `.unreachable`, too, when what was to be followed ends.
    func show(_ question: FlowQuestion, _ printer: FlowPrinter) async throws {
        try await flows(question) { try printer.show($0) }
        guard question.follow else { return }
        throw AdminClientError.unreachable(
            socket: socketPath, reason: "it stopped while flows were followed")
    }
}

/// Shows lines of flows as they come.
struct FlowPrinter {
    let format: OutputFormat

    func show(_ line: FlowLine) throws {
        if format == .json {
            return Console.out(String(decoding: try adminJSON(line), as: UTF8.self) + "\n")
        }
        switch line {
        case .flow(let flow): Console.out(FlowsCommand.line(flow) + "\n")
        case .node(let notice): Console.error(Self.sentence(notice) + "\n")
        case .lost(let loss): Console.error(Self.sentence(loss) + "\n")
        }
    }

    static func sentence(_ notice: FlowNodeNotice) -> String {
        switch notice.state {
        case .unreachable:
            "\(notice.node) can't be reached: \(notice.reason ?? "nobody knows why"). Its flows are missing."
        case .reachable: "\(notice.node) can be reached again."
        }
    }

    static func sentence(_ loss: FlowLoss) -> String {
        let why =
            switch loss.stage {
            case .kernel: "its kernel's buffer was full"
            case .reader: "they were read too slowly"
            case .network: "this node asked too late"
            }
        return "\(loss.node) lost \(loss.records) records: \(why)."
    }
}
