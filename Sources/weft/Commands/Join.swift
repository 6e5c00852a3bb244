// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshAdmin

struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Join another cluster's mesh, or let another cluster join.",
        discussion: """
            On the home of a cluster of the mesh, the first of its publishers: \
            'weft join token NAME --id N' makes a token for the cluster that may join. \
            On that cluster's home: 'weft join TOKEN@ADDRESS' does the rest, in both directions. \
            Repeat it with the same token if it was interrupted.
            """,
        subcommands: [Use.self, Token.self, Tokens.self], defaultSubcommand: Use.self)

    struct Use: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "use", abstract: "Join with a token (the default).",
            discussion: """
                  weft join weft1-TOKEN@192.0.2.7:4792
                  weft join -
                """)

        @Argument(
            help: ArgumentHelp(
                "What 'weft join token' printed on the other cluster; '-' reads it from the input.",
                valueName: "TOKEN@ADDRESS"))
        var target: String
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try output.show(try await agent.administration.join(readTarget(target)), Self.text)
        }

        static func text(_ answer: JoinAnswer) -> String {
            var lines = [
                answer.isRepeated
                    ? "This cluster was in the mesh with \(answer.introducer) already."
                    : "This cluster has joined the mesh through \(answer.introducer)."
            ]
            let members = answer.members.joined(separator: ", ")
            lines.append("Other members: \(members). Their nodes are linked within seconds.")
            lines.append(clockSentence(answer.clockSeconds, isAlarming: answer.isClockAlarming))
            return (lines + answer.notes).map { "\($0)\n" }.joined()
        }
    }

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "token",
            abstract: "Make a token for a cluster that may join, or for a node of this one.",
            discussion: """
                It is used once, by whom it is made for. Standard output gets TOKEN@ADDRESS alone; \
                whoever has it can join in that name.

                  weft join token beta --id 2
                  weft join token --node alpha-3
                """)

        @Argument(help: ArgumentHelp("The joining cluster's name.", valueName: "name"))
        var cluster: String?
        @Option(help: ArgumentHelp("The joining cluster's ID.", valueName: "number"))
        var id: UInt16?
        @Option(help: ArgumentHelp("A node of this cluster.", valueName: "name"))
        var node: String?
        @Option(
            name: .customLong("valid-for"),
            help: ArgumentHelp("Seconds, at most a day.", valueName: "seconds"))
        var lifetime: UInt64 = 3600
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (cluster != nil && id != nil) != (node != nil), (cluster == nil) == (id == nil)
            else {
                throw ValidationError(
                    "A token is for a cluster (NAME --id NUMBER) or for a node (--node NAME).")
            }
        }

        func run() async throws {
            let answer = try await agent.administration.makeToken(
                TokenRequest(cluster: cluster, id: id, node: node, lifetimeSeconds: lifetime))
            try output.show(answer) { $0.target + "\n" }
            let command = node == nil ? "weft join" : "weft node join"
            let until = Date(timeIntervalSince1970: Double(answer.expiresUnixSeconds))
            Console.error(
                "For \(answer.subject), until \(until.ISO8601Format()): run there '\(command)' with this.\n"
            )
        }
    }
}

/// Keeps a token out of the list of processes.
func readTarget(_ argument: String) throws -> String {
    guard argument == "-" else { return argument }
    guard let line = readLine() else {
        throw ValidationError("The input is empty.")
    }
    return line.trimmingWhitespace
}

func clockSentence(_ seconds: Int64, isAlarming: Bool) -> String {
    switch seconds {
    case 0: "The clocks agree."
    default:
        "The other side's clock is \(seconds.magnitude) s \(seconds > 0 ? "ahead" : "behind")"
            + (isAlarming ? ": correct the one that is wrong." : ".")
    }
}

extension String {
    fileprivate var trimmingWhitespace: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
