// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Testing

@testable import weft

private let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
private let catalogue = "\(root)/Sources/MeshAgent/MeshAgent.docc"

private func read(_ file: String) throws -> String {
    try String(contentsOf: URL(filePath: file), encoding: .utf8)
}

@Suite("Documents")
struct DocumentationTests {
    @Test("the page of the command line is what the commands say")
    func commandLine() throws {
        var text = """
            # Command line

            Every command of `weft`, as `--help` has it.


            """
        func add(_ command: any ParsableCommand.Type, _ name: String) {
            guard command.configuration.shouldDisplay else { return }
            let children = command.configuration.subcommands
            if children.isEmpty || name == "weft" {
                text += "## \(name)\n\n```text\n"
                text += Weft.helpMessage(for: command, columns: 100)
                text += "```\n\n"
            }
            for child in children {
                let word = child.configuration.commandName ?? "\(child)".lowercased()
                add(child, "\(name) \(word)")
            }
        }
        add(Weft.self, "weft")
        text.removeLast()
        let file = "\(catalogue)/CommandLine.md"
        if ProcessInfo.processInfo.environment["WEFT_WRITE_DOCS"] == "1" {
            try Data(text.utf8).write(to: URL(filePath: file))
        }
        #expect(try read(file) == text, "write it anew: WEFT_WRITE_DOCS=1 scripts/test")
    }

    @Test(
        "every command that a document names can be given",
        arguments: [
            "\(root)/README.md", "\(catalogue)/Concepts.md", "\(catalogue)/Operating.md",
            "\(catalogue)/Tutorial.md", "\(catalogue)/Installing.md",
        ])
    func commands(file: String) throws {
        let commands = Self.commands(in: try read(file))
        try #require(!commands.isEmpty)
        for (words, isWhole) in commands {
            do {
                _ = try Weft.parseAsRoot(words)
            } catch {
                let message = Weft.message(for: error)
                // Within a sentence a command may stand without what it is about.
                let isNamed =
                    !isWhole
                    && ["Missing expected", "Give one of"].contains { message.hasPrefix($0) }
                #expect(
                    isNamed || Weft.exitCode(for: error) == .success,
                    "\(words.joined(separator: " ")): \(message)")
            }
        }
    }

    /// The words behind `weft` in code, in fences and in lines, as a shell would take them.
    static func commands(in text: String) -> [(words: [String], isWhole: Bool)] {
        var found: [(words: [String], isWhole: Bool)] = []
        for (index, part) in text.split(separator: "```", omittingEmptySubsequences: false)
            .enumerated()
        {
            if index % 2 == 1 {
                guard !part.hasPrefix("text") else { continue }
                for line in part.split(separator: "\n") {
                    found += commands(inLine: line).map { ($0, true) }
                }
            } else {
                for (index, code) in part.split(separator: "`", omittingEmptySubsequences: false)
                    .enumerated() where index % 2 == 1
                {
                    found += commands(inLine: code).map { ($0, false) }
                }
            }
        }
        return found
    }

    private static func commands(inLine line: Substring) -> [[String]] {
        var line = line.firstRange(of: "#").map { line[..<$0.lowerBound] } ?? line
        // A prompt names the node.
        if let prompt = line.firstRange(of: "$ ") { line = line[prompt.upperBound...] }
        return line.split(whereSeparator: { ";|&".contains($0) }).compactMap { command in
            let words = command.split(whereSeparator: \.isWhitespace)
                .map { $0.filter { !"…'\"".contains($0) } }.filter { !$0.isEmpty }
            guard let start = words.firstIndex(of: "weft"), start == 0 || words[start - 1] == "do"
            else { return nil }
            return Array(words[(start + 1)...])
        }
    }
}
