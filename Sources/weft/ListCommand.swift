// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct WatchOptions: ParsableArguments {
    @Flag(
        name: [.customShort("w"), .customLong("watch")],
        help: "Show it again whenever it changes; with -o json a document a line.")
    var isWatching = false
}

/// A list that can be watched.
protocol ListCommand: ReadingCommand {
    var watch: WatchOptions { get }
}

extension ListCommand {
    func run() async throws {
        guard watch.isWatching else { return try output.show(try await ask(agent.reading), render) }
        var watch = Watch()
        let words = CommandLine.arguments.dropFirst().joined(separator: " ")
        while true {
            let medium: Watch.Medium =
                if output.output == .json {
                    .json
                } else if Console.isTerminal, let size = Console.size {
                    .screen(rows: size.rows, columns: size.columns)
                } else {
                    .text
                }
            do {
                let answer = try await ask(agent.reading)
                let shown = watch.show(
                    json: String(decoding: try adminJSON(answer), as: UTF8.self),
                    text: render(answer),
                    heading: "every \(Watch.intervalSeconds)s: weft \(words)", on: medium)
                if let shown { Console.out(shown) }
            } catch let error as AdminClientError where watch.hasBegun {
                // An agent that is restarted is there again in a moment.
                let complaint = Complaint(error)
                guard complaint.code == .agentUnreachable else { throw error }
                if let shown = watch.trouble(complaint, on: medium) { Console.out(shown) }
            }
            try await Task.sleep(for: .seconds(Watch.intervalSeconds))
        }
    }
}
