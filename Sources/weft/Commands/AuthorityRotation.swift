// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

extension AuthorityCommand {
    struct Rotate: AsyncParsableCommand {
        enum Kind: String, ExpressibleByArgument, CaseIterable {
            case root, intermediate
        }

        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Replace the root or the intermediate by a new key.",
            discussion: """
                Runs on the cluster's home. A new root is announced to every cluster; when all \
                of their nodes hold it, certificates are issued below it, and when nothing rests on the \
                former one any more, that is withdrawn and its key removed. No handshake fails \
                meanwhile. A cluster that can't be reached is waited for and named; with --force it \
                isn't waited for, and can't verify this one until it returns. Interrupted, the agent \
                goes on with it. Without an argument: where the last one stands.

                  weft ca rotate root
                  weft ca rotate --abort
                """)

        @Argument(help: ArgumentHelp("What to replace: root or intermediate.", valueName: "what"))
        var kind: Kind?
        @Flag(help: "Go on without clusters that don't hold the new root yet.")
        var force = false
        @Flag(help: "Withdraw the new key, as long as nothing rests on it.")
        var abort = false
        @OptionGroup var agent: AgentOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard [kind != nil, force, abort].count(where: { $0 }) <= 1 else {
                throw ValidationError("Give one of an argument, --force and --abort.")
            }
        }

        func run() async throws {
            let answer: RotationAnswer
            if let kind {
                answer = try await agent.administration.rotate(
                    RotationRequest(.begin, kind == .root ? .root : .intermediate))
            } else if force || abort {
                answer = try await agent.administration.rotate(
                    RotationRequest(force ? .force : .abort))
            } else {
                answer = RotationAnswer(status: try await agent.reading.rotation(), broken: [])
            }
            try output.show(answer) { $0.text }
        }
    }

    struct Bundle: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "bundle",
            abstract: "This cluster's roots in the format of SPIFFE, for others than weft.",
            discussion: """
                Runs on the cluster's home. Ask again after the refresh hint in it.

                  weft ca bundle > alpha.bundle.json
                """)

        @OptionGroup var agent: AgentOptions

        func run() async throws {
            Console.out(
                String(decoding: try await agent.reading.spiffeBundle(), as: UTF8.self) + "\n")
        }
    }
}

extension RotationAnswer {
    fileprivate var text: String {
        guard !broken.isEmpty else { return status.text }
        return status.text
            + "without \(broken.joined(separator: ", ")): they can't verify this cluster until "
            + "they hold its new root\n"
    }
}

extension RotationStatus {
    /// Where it stands and whom it waits for, a line each.
    var text: String {
        var lines = [sentence]
        if !laggards.isEmpty {
            lines.append("still renewing: \(laggards.joined(separator: ", "))")
        }
        if let obstacle { lines.append("it can't go on: \(obstacle)") }
        return lines.map { "\($0)\n" }.joined()
    }
}
