// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import MeshAdmin
import MeshModel
import Testing

@testable import MeshAgent
@testable import weft

@Suite("Command line")
struct CommandTests {
    /// Every command that a user may give, by its words.
    static let commands: [[String]] = {
        func below(_ command: any ParsableCommand.Type, _ words: [String]) -> [[String]] {
            guard command.configuration.shouldDisplay else { return [] }
            return [words]
                + command.configuration.subcommands.flatMap {
                    below($0, words + [$0.configuration.commandName ?? "\($0)".lowercased()])
                }
        }
        return below(Weft.self, [])
    }()

    private func help(_ words: [String]) throws -> String {
        let error = try #require(throws: (any Error).self) {
            var command = try Weft.parseAsRoot(words + ["--help"])
            try command.run()
        }
        #expect(Weft.exitCode(for: error) == .success)
        return Weft.fullMessage(for: error, columns: 500)
    }

    @Test("every command has help that tells what it is for", arguments: commands)
    func help(words: [String]) throws {
        let text = try help(words)
        #expect(text.contains("OVERVIEW: "))
        #expect(text.contains("USAGE: weft"))
        if words.isEmpty { #expect(text.contains("Exit codes: 0 done; 1")) }
    }

    @Test(
        "every command that does something has an example, which can be given", arguments: commands)
    func example(words: [String]) throws {
        let isGroup = Self.commands.contains { $0.count > words.count && $0.starts(with: words) }
        guard !isGroup else { return }
        let examples = try help(words).split(separator: "\n")
            .map { $0.drop { $0 == " " } }
            .filter { $0.hasPrefix("weft ") || $0.hasPrefix("sudo weft ") }
            // What stands behind it is for the shell, or says what it does.
            .map { $0.firstRange(of: "  ").map { [line = $0] in line[..<$0.lowerBound] } ?? $0 }
        #expect(!examples.isEmpty, "weft \(words.joined(separator: " "))")
        for example in examples {
            let given =
                example.split { ">|".contains($0) }.first?
                .split(separator: " ").map(String.init) ?? []
            let arguments = Array(given.drop { $0 == "sudo" || $0 == "weft" })
            let command = try Weft.parseAsRoot(arguments)
            // The word of a default command may be left out.
            let isDefault = [["join", "use"], ["join", "tokens", "list"]].contains(words)
            let isThat = arguments.starts(with: isDefault ? Array(words.dropLast()) : words)
            #expect(isThat && type(of: command) != Weft.self, "\(example)")
        }
    }

    @Test(
        "failures have their sentence, what to do, and an exit code of their own",
        arguments: [
            (AdminClientError.unreachable(socket: "/s", reason: "there is no such socket"), 3),
            (AdminClientError.timedOut(socket: "/s", seconds: 10), 3),
            (AdminClientError.permissionDenied(socket: "/s"), 4),
            (AdminFault(.forbidden, "this socket is for reading only", hint: "use the other"), 4),
            (AdminFault(.notFound, "there is no cluster x", hint: "weft cluster list"), 5),
            (AdminClientError.otherVersion(agent: nil, question: "/v1/x", reason: "no"), 6),
            (AdminClientError.notAnAgent(socket: "/s", reason: "it is 'nginx'"), 7),
            (AdminFault(.conflict, "that contradicts", hint: "first do this"), 1),
            (InputFile.Problem(path: "/f", reason: "Permission denied", errno: EACCES), 4),
            (InputFile.Problem(path: "/f", reason: "Is a directory", errno: EISDIR), 1),
            (Complaint("there is no log", hint: "it is elsewhere", code: .unknownName), 5),
        ] as [(any Error & Sendable, Int32)])
    func complaints(error: any Error & Sendable, code: Int32) throws {
        let complaint = Complaint(error)
        #expect(complaint.code.rawValue == code)
        #expect(!complaint.sentence.contains("\n") && !complaint.sentence.hasSuffix("."))
        #expect(try #require(complaint.hint).count > 5)
        #expect(Entry.report(error).rawValue == code)
        #expect(ExitCode.documentation.contains("\(code) "))
    }

    @Test(
        "a command line that makes no sense: what is wrong, what was meant, where its help is",
        arguments: [
            (["sttaus"], "there is no command 'weft sttaus'; did you mean 'weft status'?", "weft"),
            (
                ["cluster", "lst"],
                "there is no command 'weft cluster lst'; did you mean "
                    + "'weft cluster list'?", "weft cluster"
            ),
            (["frobnicate"], "there is no command 'weft frobnicate'", "weft"),
            (
                ["status", "--wach"], "unknown option '--wach'. Did you mean '--watch'?",
                "weft status"
            ),
            (["status", "-o", "xml"], "the value 'xml' is invalid", "weft status"),
            (
                ["service", "get"], "missing expected argument '<namespace/name>'",
                "weft service get"
            ),
            (["join"], "missing expected argument", "weft join"),
            (
                ["service", "get", "Shop/web"],
                "the value 'Shop/web' is invalid for '<namespace/name>': it is NAMESPACE/NAME",
                "weft service get"
            ),
            (
                ["node", "leave", "--timeout", "soon"],
                "the value 'soon' is invalid for '--timeout <duration>': it is a number and us",
                "weft node leave"
            ),
        ] as [([String], String, String)])
    func usage(words: [String], sentence: String, command: String) throws {
        let error = try #require(throws: (any Error).self) { try Weft.parseAsRoot(words) }
        let complaint = Complaint.usage(Weft.message(for: error), of: Weft.self, words)
        #expect(complaint.sentence.hasPrefix(sentence), "\(complaint.sentence)")
        #expect(complaint.hint == "'\(command) --help' says what it takes")
        #expect(complaint.code == .usage && Entry.report(error) == .usage)
        #expect(Entry.report(ExitCode(42)) == ExitCode(42))
    }

    @Test("help of what isn't there is refused, with what was meant")
    func help() {
        let complaint = Complaint.help(of: Weft.self, ["help", "clutser"])
        #expect(
            complaint?.sentence
                == "there is no command 'weft clutser'; did you mean 'weft cluster'?")
        #expect(complaint?.code == .usage)
        let below = Complaint.help(of: Weft.self, ["help", "cluster", "lst"])
        #expect(below?.sentence.contains("did you mean 'weft cluster list'?") == true)
        for words in [["help"], ["help", "why"], ["help", "cluster", "list"], ["status"]] {
            #expect(Complaint.help(of: Weft.self, words) == nil, "\(words)")
        }
    }

    @Test("a file that can't be read or written is told by its name and the system's reason")
    func files() throws {
        let missing = try #require(throws: (any Error).self) {
            try InputFile.read("/nonexistent/policies.yaml", bytesMaximum: 10)
        }
        #expect(
            Complaint(missing)
                == Complaint(
                    "/nonexistent/policies.yaml: No such file or directory",
                    hint: "name a file that this user may read", code: .unknownName))
        let unwritable = try #require(throws: (any Error).self) {
            try Data([1]).write(to: URL(filePath: "/nonexistent/ca.pem"), options: .atomic)
        }
        let complaint = Complaint(unwritable)
        #expect(complaint.sentence.contains("No such file or directory"), "\(complaint)")
        #expect(!complaint.sentence.contains("NSCocoaErrorDomain"))
        #expect(complaint.hint?.contains("may write to") == true)
        #expect(throws: InputFile.Problem.self) {
            try InputFile.read("/dev/zero", bytesMaximum: 1 << 20)
        }
        #expect(try InputFile.read("/dev/null", bytesMaximum: 0).isEmpty)
    }

    @Test(
        "objects are a namespace and a name, or a name",
        arguments: [
            ("shop/web", ObjectName(namespace: "shop", name: "web")),
            ("web.v2", ObjectName(namespace: "default", name: "web.v2")),
            ("a/b/c", nil), ("", nil), ("/web", nil), ("Shop/web", nil), ("shop/we b", nil),
        ] as [(String, ObjectName?)])
    func objects(text: String, object: ObjectName?) {
        #expect(ObjectArgument(argument: text)?.object == object)
    }

    @Test("attach takes labels and addresses")
    func attach() throws {
        let command = try #require(
            try Weft.parseAsRoot([
                "endpoint", "attach", "shop/web-0", "--netns", "/run/netns/web", "--label",
                "app=web", "--label", "tier=a=b", "--address", "10.1.0.9", "--socket",
                "/tmp/weft.sock", "-o", "json",
            ]) as? EndpointCommand.Attach)
        #expect(command.labels.map(\.key) == ["app", "tier"])
        #expect(command.labels.map(\.value) == ["web", "a=b"])
        #expect(command.addresses == ["10.1.0.9"])
        #expect(command.output.output == .json)
        #expect(command.agent.administration.socketPath == "/tmp/weft-admin.sock")
        #expect(command.agent.reading.socketPath == "/tmp/weft.sock")
    }

    @Test("a socket of another name is used for everything")
    func socketNames() {
        #expect(administrationSocketPath(beside: "/run/x/weft.sock") == "/run/x/weft-admin.sock")
        #expect(administrationSocketPath(beside: "/run/myweft.sock") == "/run/myweft.sock")
        #expect(administrationSocketPath(beside: "weft.sock") == "weft-admin.sock")
    }
}
