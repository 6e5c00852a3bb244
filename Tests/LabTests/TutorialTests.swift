// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MeshLab

extension LabTests {
    /// Runs the page's `sh` blocks in one shell and looks for the lines of each `text` block, in which
    /// `…` stands for anything, in what was printed since the block before.
    @Test("the tutorial says what happens")
    func tutorial() async throws {
        let page = try LabFolder.read(
            "\(#filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined())"
                + "/Sources/MeshAgent/MeshAgent.docc/Tutorial.md")
        let blocks = Self.blocks(of: page)
        let script = blocks.filter { $0.language == "sh" }.map(\.text)
        try #require(script.count >= 6)
        let lab = freshLabName()
        let folder = "/tmp/\(lab)"
        let program = try weftProgram()
        try LabFolder.make(folder)
        let text = script.joined(separator: "\necho '@@'\n")
            .replacing("/run/weft-lab/demo/", with: "\(LabPlan.folder)/\(lab)/")
        let process = try LabProcess(
            ["/bin/sh", "-eu", "-c", text], output: "\(folder)/output",
            environment: [
                "WEFT_LAB": lab,
                "PATH": "\(program.dropLast("/weft".count)):/usr/sbin:/usr/bin:/sbin:/bin",
            ])
        let ending = try? await process.wait(atMost: .seconds(120))
        let output = try LabFolder.read("\(folder)/output")
        if ending != .exited(0) { try await Lab.down(lab) }
        try LabFolder.remove("\(folder)/output")
        try LabFolder.remove(folder)
        #expect(ending == .exited(0), "\(output)")
        #expect(try traces(of: lab).isEmpty)

        var last: Substring = ""
        var printed = output.split(separator: "@@\n", omittingEmptySubsequences: false)[...]
        for block in blocks {
            switch block.language {
            case "sh": _ = printed.popFirst().map { last = $0 }
            case "text":
                for line in block.text.split(separator: "\n") {
                    #expect(Self.holds(last, line), "'\(line)' isn't in\n\(last)")
                }
            default: break
            }
        }
    }

    private struct Block {
        let language: String
        let text: String
    }

    private static func blocks(of page: String) -> [Block] {
        // Odd parts are between fences.
        page.split(separator: "```", omittingEmptySubsequences: false).enumerated().compactMap {
            index, part in
            guard index % 2 == 1, let end = part.firstIndex(of: "\n") else { return nil }
            return Block(language: String(part[..<end]), text: String(part[end...]))
        }
    }

    /// Whether a line of `text` has the parts of `pattern` in their order; spaces count as one.
    private static func holds(_ text: Substring, _ pattern: Substring) -> Bool {
        func squeezed(_ text: Substring) -> String {
            text.split(separator: " ").joined(separator: " ")
        }
        let parts = pattern.split(separator: "…").map { squeezed($0) }.filter { !$0.isEmpty }
        return text.split(separator: "\n").contains { line in
            var rest = squeezed(line)[...]
            return parts.allSatisfy { part in
                guard let found = rest.firstRange(of: part) else { return false }
                rest = rest[found.upperBound...]
                return true
            }
        }
    }
}
