// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshDatapath
import Testing

@testable import MeshAgent

/// Pages of the DocC catalogue that are made of the code; `WEFT_WRITE_DOCS=1` writes them anew.
@Suite("The reference says what the code says")
struct ReferencePageTests {
    @Test("about the configuration")
    func configuration() throws {
        var text = """
            # Configuration

            Everything that a node's configuration may say, and who may say it.

            ## Overview

            `weftd --config FILE` reads YAML; names with dots are mappings within mappings. A variable of the environment says more than
            the file, an option `--set KEY=VALUE` more than both. A key that isn't known is refused with its line. `weft config
            check FILE` tells all that is wrong with one, `weft config show` what an agent goes by and who said it. A running agent follows
            its file: *live* values are taken up within seconds, others wait for a restart, and a file that is wrong changes nothing.

            | key | variable | default | live | meaning |
            |---|---|---|---|---|

            """
        for setting in Setting.all {
            text += "| `\(setting.key)` | `\(setting.variable)` | "
            text += setting.standard.map { "`\($0)`" } ?? ""
            text += " | \(setting.isLive ? "yes" : "") | \(setting.help) |\n"
        }
        try expect("Configuration", says: text)
    }

    @Test("about drops")
    func drops() throws {
        var text = """
            # Reasons of drops

            Why a packet goes nowhere, as metrics, events and `weft drops` name it.

            | reason | meaning |
            |---|---|

            """
        for reason in DropReason.allCases where reason.rawValue != 0 {
            text += "| `\(reason.label)` | \(reason.sentence) |\n"
        }
        try expect("Drops", says: text)
    }

    private func expect(_ page: String, says text: String) throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        let file = "\(root)/Sources/MeshAgent/MeshAgent.docc/\(page).md"
        if ProcessInfo.processInfo.environment["WEFT_WRITE_DOCS"] == "1" {
            try Data(text.utf8).write(to: URL(filePath: file))
        }
        let found = try String(contentsOf: URL(filePath: file), encoding: .utf8)
        #expect(found == text, "write \(page).md anew: WEFT_WRITE_DOCS=1 scripts/test")
    }
}
