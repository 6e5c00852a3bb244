// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshLab

extension LabCommand {
    struct Serve: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "serve",
            abstract: "Answer HTTP with this endpoint's name, and echo UDP, until killed.",
            discussion: """
                Paths: / who answers, /bytes/N so many bytes, /hold nothing.

                  weft lab serve --port 8080
                """)

        @Option(help: "TCP and UDP port; 0 takes a free one.") var port: UInt16 = 8080

        func run() throws {
            let server = try LabServe(.init(port: port))
            try server.run()
        }
    }

    struct Load: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "load", abstract: "Ask a service again and again.",
            discussion: """
                Prints a JSON object for each request, and one with the sums at the end. Times are \
                nanoseconds of CLOCK_MONOTONIC; durations are written 5ms, 1.5s or 2m; \
                a bare number counts milliseconds.

                  weft lab load http://10.201.0.10/ --interval 5ms --duration 10s
                """)

        @Argument(
            help: ArgumentHelp(
                "http://ADDRESS[:PORT]/PATH or udp://ADDRESS:PORT[/bytes/N].", valueName: "url"),
            transform: { try LoadTarget(url: $0) })
        var target: LoadTarget
        @Option(
            help: ArgumentHelp(
                """
                Start a request this often, each on a new connection, whatever became of the \
                earlier ones; 0: when an earlier one has ended. Default: no requests.
                """, valueName: "duration"))
        var interval: DurationArgument?
        @Option(help: "Stop when as many requests have ended.") var count: Int?
        @Option(help: "With --interval 0: requests under way at a time.") var concurrency = 1
        @Option(help: ArgumentHelp("Give a request up after this.", valueName: "duration"))
        var timeout: DurationArgument = "5s"
        @Option(help: "Connections that each ask again and again.") var talkers = 0
        @Option(
            help: ArgumentHelp(
                "Pause between an answer and the next question.", valueName: "duration"))
        var talkInterval: DurationArgument = "100ms"
        @Option(help: "Connections that ask once and then only wait.") var idlers = 0
        @Flag(help: "UDP: don't connect the sockets.") var unconnected = false
        @Option(
            help: ArgumentHelp("Stop after this. Default: when killed.", valueName: "duration"))
        var duration: DurationArgument?
        @Flag(help: "Print only the sums.") var summary = false

        func validate() throws {
            guard interval != nil || talkers > 0 || idlers > 0 else {
                throw ValidationError("Say what to do: --interval, --talkers or --idlers.")
            }
            guard concurrency > 0, count ?? 1 > 0, talkers >= 0, idlers >= 0 else {
                throw ValidationError("Numbers of connections can't be negative.")
            }
            guard !summary || duration != nil else {
                throw ValidationError("--summary without --duration would never print anything.")
            }
        }

        func run() throws {
            var options = LoadOptions(target: target)
            options.interval = interval?.duration
            options.count = count
            options.concurrency = concurrency
            options.timeout = timeout.duration
            options.talkers = talkers
            options.talkInterval = talkInterval.duration
            options.idlers = idlers
            options.isUnconnected = unconnected
            options.duration = duration?.duration
            options.summaryOnly = summary
            var load = LabLoad(options) { Console.out($0) }
            _ = try load.run()
        }
    }
}
