// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab

struct LabCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab", abstract: "Clusters made of network namespaces on this machine.",
        discussion: """
            Needs root. Touches nothing but its own namespaces, folders and cgroups; 'lab down' \
            removes all of it, after a crash too.
            """,
        groupedSubcommands: [
            CommandGroup(
                name: "Life", subcommands: [Up.self, Down.self, List.self, Logs.self]),
            CommandGroup(
                name: "Play",
                subcommands: [
                    Exec.self, Kill.self, Revive.self, Cut.self, Mend.self, Freeze.self, Thaw.self,
                    Drain.self, DemoCommand.self,
                ]),
            CommandGroup(name: "Inside endpoints", subcommands: [Serve.self, Load.self]),
        ])

    /// Which of the labs.
    struct Options: ParsableArguments {
        @Option(
            name: .customLong("lab"),
            help: ArgumentHelp(
                "The lab; else $WEFT_LAB, else \(Lab.defaultName).", valueName: "name"))
        var chosen: String?

        var name: String {
            chosen ?? getenv("WEFT_LAB").map { String(cString: $0) } ?? Lab.defaultName
        }

        func lab() throws -> Lab { try Lab(named: name) }
    }

    /// What a lab's `kill`, `revive`, `freeze`, `thaw` and `drain` act upon.
    struct Target: ParsableArguments {
        @Argument(help: ArgumentHelp("A cluster or one node.", valueName: "cluster[/node]"))
        var target: String
    }
}

/// When something was done to a lab.
struct MomentAnswer: Encodable {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    let beganNanoseconds: UInt64
    let endedNanoseconds: UInt64

    init(_ moment: Lab.Moment) {
        beganNanoseconds = moment.began
        endedNanoseconds = moment.ended
    }

    var age: String { Format.age(Double(endedNanoseconds - beganNanoseconds) / 1e9) }
}
