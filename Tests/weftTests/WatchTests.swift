// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Testing

@testable import weft

@Suite("Watching")
struct WatchTests {
    @Test("what only grows older is no news")
    func ages() {
        var watch = Watch()
        func show(_ json: String, _ medium: Watch.Medium) -> String? {
            watch.show(json: json, text: "table\n", heading: "h", on: medium)
        }
        let first = #"{"sinceSeconds":1.5,"verdict":"up"}"#
        #expect(show(first, .json) == first + "\n")
        #expect(show(#"{"sinceSeconds":2.5e-1,"verdict":"up"}"#, .json) == nil)
        #expect(show(#"{"sinceSeconds":0,"verdict":"suspect"}"#, .json) != nil)
        #expect(show(#"{"sinceSeconds":9,"verdict":"up"}"#, .text) == "\ntable\n")
        #expect(watch.hasBegun)
    }

    @Test(
        "only numbers of ages are left out",
        arguments: [
            (#"{"ageSeconds":-1.5e3,"a":1}"#, #"{"ageSeconds":,"a":1}"#),
            (#"{"sessionAffinitySeconds":600}"#, #"{"sessionAffinitySeconds":600}"#),
            (#"{"reason":"sinceSeconds\":7"}"#, #"{"reason":"sinceSeconds\":7"}"#),
            (#"{"ageSeconds":null}"#, #"{"ageSeconds":null}"#), ("[]", "[]"),
        ])
    func withoutAges(json: String, rest: String) {
        #expect(Watch.withoutAges(json) == rest)
    }

    @Test("a screen is redrawn in place, cut to its size, and always")
    func screen() throws {
        var watch = Watch()
        let medium = Watch.Medium.screen(rows: 5, columns: 8)
        let text = "ONE TWO THREE\n\u{1B}[32mup\u{1B}[0m and more\nc\nd\ne\n"
        let shown = watch.show(json: "{}", text: text, heading: "every", on: medium)
        let first = try #require(shown)
        #expect(
            first
                == "\u{1B}[2J\u{1B}[Hevery\u{1B}[K\n\u{1B}[K\nONE TWO \u{1B}[K\n… 4 more lines\u{1B}[K\n\u{1B}[J"
        )
        let again = watch.show(json: "{}", text: "a\n", heading: "every", on: medium)
        let second = try #require(again)
        #expect(second == "\u{1B}[Hevery\u{1B}[K\n\u{1B}[K\na\u{1B}[K\n\u{1B}[J")
        #expect(
            Watch.clip("\u{1B}[32mup\u{1B}[0m and more", to: 5)
                == "\u{1B}[32mup\u{1B}[0m an\u{1B}[0m")
    }

    @Test(
        "every list can be watched", arguments: CommandTests.commands.filter { $0.last == "list" })
    func lists(words: [String]) throws {
        guard words != ["lab", "list"] else { return }
        let command = try #require(try Weft.parseAsRoot(words + ["-w"]) as? any ListCommand)
        #expect(command.watch.isWatching)
    }

    @Test(
        "colours are for terminals, and for who wants them",
        arguments: [
            (true, nil, "xterm", true), (true, "", nil, true), (false, nil, "xterm", false),
            (true, "1", "xterm", false), (true, nil, "dumb", false),
        ] as [(Bool, String?, String?, Bool)])
    func colours(isTerminal: Bool, noColour: String?, terminal: String?, isColoured: Bool) {
        #expect(
            Console.isColoured(isTerminal: isTerminal, noColour: noColour, terminal: terminal)
                == isColoured)
    }

    @Test("states have colours that don't disturb the columns")
    func states() {
        let table = Table(
            ["NAME", .state("STATE"), "up"],
            rows: [["up", "up", "a"], ["b", "error: full", "up"], ["c", "odd", "d"]]
        ) { $0 }
        #expect(
            table.text(isColoured: true) == """
                NAME  STATE        up
                up    \u{1B}[32mup\u{1B}[0m           a
                b     \u{1B}[31merror: full\u{1B}[0m  up
                c     odd          d

                """)
        #expect(!table.text(isColoured: false).contains("\u{1B}"))
    }
}
