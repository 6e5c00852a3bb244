// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import Testing

@testable import MeshLab
@testable import weft

@Suite("Connectivity test")
struct ConnectivityCommandTests {
    @Test("a group that passed is a line, one that didn't names its checks with what agents say")
    func text() {
        let good = ConnectivityResult(group: "a -> b", check: "TCP", outcome: .passed, seconds: 0.5)
        let bad = ConnectivityResult(
            group: "a -> b", check: "UDP", outcome: .failed, seconds: 1, reason: "no answer",
            evidence: ["beta-1 dropped it"])
        #expect(ConnectivityCommand.Test.text([good]) == "ok   a -> b: TCP (500ms)\n")
        #expect(
            ConnectivityCommand.Test.text([good, bad]) == """
                FAIL a -> b: 1 of 2 checks (1.0s)
                       failed UDP: no answer
                         - beta-1 dropped it

                """)
        #expect(
            ConnectivityCommand.Test.sentence(ConnectivitySummary([good, bad], seconds: 2))
                == "1 checks passed, 1 failed, in 2.0s; nothing of it is left.\n")
    }

    @Test("a lab's servers are known, and a lab that isn't there is told")
    func wrong() async throws {
        #expect(throws: (any Error).self) {
            try Weft.parseAsRoot(["connectivity", "test", "--lab", "x", "--server", "10.0.0.1"])
        }
        #expect(throws: LabError.self) { _ = try Lab(named: "nosuchlab") }
    }

    @Test("every shell's completion knows every verb", arguments: CompletionCommand.Shell.allCases)
    func completion(shell: CompletionCommand.Shell) throws {
        let command = try #require(
            try Weft.parseAsRoot(["completion", shell.rawValue]) as? CompletionCommand)
        #expect(command.shell == shell)
        let script = Weft.completionScript(for: shell.kind)
        for word in ["status", "connectivity", "why", "completion"] {
            #expect(script.contains(word), "\(word)")
        }
    }
}
