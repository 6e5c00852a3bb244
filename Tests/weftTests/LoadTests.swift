// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Testing

@testable import weft

@Suite("Load")
struct LoadTests {
    @Test(
        "durations as they are written",
        arguments: [
            ("0", .zero), ("10", .milliseconds(10)), ("5ms", .milliseconds(5)),
            ("1.5s", .milliseconds(1500)), ("2m", .seconds(120)), ("250us", .microseconds(250)),
            ("-1s", nil), ("ms", nil), ("", nil), ("1h", nil), ("1e9s", nil), ("nan", nil),
        ] as [(String, Duration?)])
    func durations(text: String, duration: Duration?) {
        #expect(DurationArgument(argument: text)?.duration == duration)
    }

    @Test("a load must have something to do, and an end if only its sums are wanted")
    func load() throws {
        #expect(throws: (any Error).self) {
            try Weft.parseAsRoot(["lab", "load", "http://10.0.0.1/"])
        }
        #expect(throws: (any Error).self) {
            try Weft.parseAsRoot(["lab", "load", "http://10.0.0.1/", "--talkers", "1", "--summary"])
        }
        #expect(throws: (any Error).self) {
            try Weft.parseAsRoot(["lab", "load", "ftp://10.0.0.1/", "--talkers", "1"])
        }
        let load = try #require(
            try Weft.parseAsRoot([
                "lab", "load", "http://10.0.0.1/", "--interval", "5ms", "--talkers", "3",
            ]) as? LabCommand.Load)
        #expect(load.interval?.duration == .milliseconds(5))
        #expect(load.timeout.duration == .seconds(5))
        #expect(load.talkers == 3)
    }

    @Test("a command for an endpoint is what stands behind the dashes")
    func exec() throws {
        let exec = try #require(
            try Weft.parseAsRoot(["lab", "exec", "alpha/client", "--", "ls", "-l", "--all"])
                as? LabCommand.Exec)
        #expect(exec.endpoint == "alpha/client")
        #expect(exec.command == ["ls", "-l", "--all"])
    }
}
