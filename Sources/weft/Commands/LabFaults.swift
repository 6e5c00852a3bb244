// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshLab

extension LabCommand {
    struct Cut: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cut", abstract: "Break the link from one cluster or node to another.",
            discussion: """
                Packets from the first to the second are lost, those back arrive; 'lab mend' undoes \
                it. With --port only the UDP datagrams to that port are, as behind a firewall: 8472 \
                is the overlay's in a lab, 4791 that of heartbeats and gossip.

                  weft lab cut alpha beta
                  weft lab cut beta gamma --port 8472 --both-ways
                """)

        @Option(help: "Lose UDP datagrams to this port only.") var port: UInt16?
        @OptionGroup var link: Link
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() throws {
            let lab = try options.lab()
            let moment = try link.apply { from, to in
                try port.map { try lab.sever(from: from, to: to, port: $0) }
                    ?? lab.sever(from: from, to: to)
            }
            let what = port.map { "No UDP datagram to port \($0)" } ?? "Nothing"
            try output.show(MomentAnswer(moment)) { _ in
                "\(what) from \(link.from) reaches \(link.to) any more"
                    + (link.bothWays ? ", nor the other way round.\n" : ".\n")
            }
        }
    }

    struct Mend: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "mend", abstract: "Undo 'lab cut'.",
            discussion: """
                  weft lab mend alpha beta
                """)

        @OptionGroup var link: Link
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() throws {
            let lab = try options.lab()
            let moment = try link.apply { try lab.mend(from: $0, to: $1) }
            try output.show(MomentAnswer(moment)) { _ in
                "The link from \(link.from) to \(link.to) is whole"
                    + (link.bothWays ? ", both ways.\n" : ".\n")
            }
        }
    }

    struct Freeze: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "freeze",
            abstract: "Stop agents where they are; cables and workloads go on.",
            discussion: """
                  weft lab freeze beta/beta-1
                """)

        @OptionGroup var target: Target
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() throws {
            let moment = try options.lab().freeze(target.target)
            try output.show(MomentAnswer(moment)) { _ in
                "The agents of \(target.target) stand still until 'lab thaw'.\n"
            }
        }
    }

    struct Thaw: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "thaw", abstract: "Undo 'lab freeze'.",
            discussion: """
                  weft lab thaw beta/beta-1
                """)

        @OptionGroup var target: Target
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() throws {
            let moment = try options.lab().thaw(target.target)
            try output.show(MomentAnswer(moment)) { _ in
                "The agents of \(target.target) go on.\n"
            }
        }
    }

    /// What `cut` and `mend` act upon.
    struct Link: ParsableArguments {
        @Argument(help: ArgumentHelp("Who sends.", valueName: "cluster[/node]"))
        var from: String
        @Argument(help: ArgumentHelp("Who would receive.", valueName: "cluster[/node]"))
        var to: String
        @Flag(help: "The other way round, too.") var bothWays = false

        func apply(_ body: (String, String) throws -> Lab.Moment) rethrows -> Lab.Moment {
            let there = try body(from, to)
            return bothWays
                ? Lab.Moment(began: there.began, ended: try body(to, from).ended) : there
        }
    }
}
