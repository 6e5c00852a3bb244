// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshLab

extension LabCommand {
    struct Exec: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "exec", abstract: "Run a command inside an endpoint.",
            discussion: """
                Exits with the command's own code.

                  weft lab exec alpha/client -- curl -s http://10.201.0.10/
                """)

        @Argument(
            help: ArgumentHelp(
                "The endpoint, with its cluster if others have one of that name.",
                valueName: "[cluster/]endpoint"))
        var endpoint: String
        @Argument(parsing: .postTerminator, help: "What to run, behind '--'.")
        var command: [String]
        @OptionGroup var options: Options

        func run() throws {
            try options.lab().exec(endpoint, command)
        }
    }

    struct Kill: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "kill",
            abstract: "End a cluster or a node as a power cut would: cables and agents at once.",
            discussion: """
                  weft lab kill beta
                  weft lab kill beta/beta-1
                """)

        @OptionGroup var target: Target
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() throws {
            let moment = try options.lab().kill(target.target)
            try output.show(MomentAnswer(moment)) {
                "\(target.target) is dead; the blow took \($0.age).\n"
            }
        }
    }

    struct Revive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revive", abstract: "Bring back what was killed.",
            discussion: """
                  weft lab revive beta
                """)

        @OptionGroup var target: Target
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let moment = try await options.lab().revive(target.target)
            try output.show(MomentAnswer(moment)) {
                "\(target.target) is back; its agents answer after \($0.age).\n"
            }
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "drain", abstract: "Ask all clusters to send a cluster nothing new.",
            discussion: """
                  weft lab drain beta
                  weft lab drain beta --off
                """)

        @OptionGroup var target: Target
        @Flag(help: "Take it back.") var off = false
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let moment = try await options.lab().drain(target.target, !off)
            try output.show(MomentAnswer(moment)) {
                "\(target.target) \(off ? "takes new flows again" : "is draining"); "
                    + "its agents agreed within \($0.age).\n"
            }
        }
    }
}

/// How a lab starts processes: joins a cgroup, enters a namespace, becomes the command.
struct LabExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab-exec", abstract: "Become a command in a namespace and a cgroup.",
        shouldDisplay: false)

    @Option(help: ArgumentHelp("Network namespace.", valueName: "path")) var netns: String?
    @Option(help: ArgumentHelp("Folder of a cgroup v2.", valueName: "path")) var cgroup: String?
    @Option(help: ArgumentHelp("What to tell the command it is called.", valueName: "name"))
    var argv0: String?
    @Argument(parsing: .postTerminator, help: "What to run, behind '--'.")
    var command: [String]

    func run() throws {
        try LabExec.run(namespacePath: netns, cgroup: cgroup, name: argv0, command: command)
    }
}
