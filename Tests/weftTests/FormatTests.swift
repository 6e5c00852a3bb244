// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import weft

@Suite("What people read")
struct FormatTests {
    @Test(
        "ages have the two units that matter",
        arguments: [
            (nil, ""), (-1, "0ms"), (0, "0ms"), (0.0004, "0ms"), (0.85, "850ms"),
            (0.9996, "1.0s"), (1.54, "1.5s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"),
            (59.7, "1m0s"), (192, "3m12s"), (3599.6, "1h0m"), (18_180, "5h3m"),
            (371_000, "4d7h"), (.infinity, ""), (.nan, ""),
        ] as [(Double?, String)])
    func ages(seconds: Double?, text: String) {
        #expect(Format.age(seconds) == text)
    }

    @Test(
        "bytes in binary units",
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
            (50 << 20, "50.0 MiB"), ((1 << 20) - 1, "1.0 MiB"), (3 << 40, "3.0 TiB"),
            (UInt64.max, "16384.0 PiB"),
        ] as [(UInt64, String)])
    func bytes(count: UInt64, text: String) {
        #expect(Format.bytes(count) == text)
    }

    @Test(
        "milliseconds",
        arguments: [
            (nil, ""), (0.418, "0.42ms"), (0.05, "0.05ms"), (9.99, "9.99ms"), (80, "80.0ms"),
            (123.46, "123.4ms"),
        ] as [(Double?, String)])
    func milliseconds(value: Double?, text: String) {
        #expect(Format.milliseconds(value) == text)
    }

    @Test("addresses, identities, labels and times")
    func small() {
        #expect(Format.socket("10.0.0.1", 80) == "10.0.0.1:80")
        #expect(Format.socket("fd00::1", 80) == "[fd00::1]:80")
        #expect(Format.identity(0) == "")
        #expect(Format.identity(2) == "world")
        #expect(Format.identity(1 << 20 | 256) == "1:256")
        #expect(Format.labels(["b": "2", "a": "1"]) == "a=1,b=2")
        #expect(Format.time(unixMilliseconds: 1_795_000_001_250) == "2026-11-18T11:06:41.250Z")
    }

    @Test("columns are aligned, empty cells are dashes, nothing trails")
    func table() {
        let table = Table(
            ["NAME", .right("COUNT"), "NOTE"],
            rows: [["web", "7", ""], ["a-longer-name", "1200", "über"]]
        ) { $0 }
        #expect(
            table.text == """
                NAME           COUNT  NOTE
                web                7  -
                a-longer-name   1200  über

                """)
        #expect(Table(["A", "B"]).text == "A  B\n")
    }
}
