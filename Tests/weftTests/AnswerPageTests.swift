// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import Testing

@testable import weft

private let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()

/// The page of what `-o json` prints, made of the declarations of the answers.
@Suite("Answers in JSON")
struct AnswerPageTests {
    private static let answers: [(command: String, type: String)] = [
        ("status", "AgentStatus"), ("cluster list", "[ClusterStatus]"),
        ("node list", "[NodeStatus]"), ("node keys", "[GossipKeyStatus]"),
        ("service list", "[ServiceStatus]"), ("service get", "[ServiceStatus]"),
        ("endpoint list", "[EndpointStatus]"), ("identity list", "[IdentityStatus]"),
        ("policy list", "[PolicyStatus]"), ("policy get", "PolicyMeaning"),
        ("policy check", "PolicyCheckAnswer"), ("policy trace", "PolicyTraceAnswer"),
        ("why CLUSTER[/NODE]", "HealthStory"), ("why SOURCE DESTINATION", "FlowStory"),
        ("flows", "Flow"), ("drops", "[DropCount]"), ("bpf maps", "[MapUsage]"),
        ("bpf services", "[KernelService]"), ("bpf conntrack", "[ConnectionEntry]"),
        ("config show", "ConfigurationStatus"), ("ca status", "TrustStatus"),
        ("ca denied", "[DenialStatus]"), ("join tokens", "[TokenStatus]"),
        ("cluster introducers", "IntroducersStatus"), ("node leave", "DepartureStatus"),
    ]
    /// Of other modules.
    private static let others = [
        "ServiceAffinity": "`none`, `local` or `remote`"
    ]

    private let types: AnswerTypes

    init() throws { types = try AnswerTypes(in: "\(root)/Sources/MeshAdmin") }

    /// A type as JSON has it; types that have to be told of are added to `named`.
    private func text(_ type: String, within scope: String, _ named: inout [String]) -> String {
        if type.hasSuffix("?") {
            return text(String(type.dropLast()), within: scope, &named) + ", if known"
        }
        if type == "[String: String]" { return "object of strings" }
        if type.hasPrefix("["), type.hasSuffix("]") {
            return "array of \(text(String(type.dropFirst().dropLast()), within: scope, &named))"
        }
        switch type {
        case "String": return "string"
        case "Bool": return "boolean"
        case "Double": return "number"
        case "Int", "Int64", "UInt8", "UInt16", "UInt32", "UInt64": return "integer"
        default: break
        }
        if let other = Self.others[type] { return other }
        guard let path = types.resolve(type, within: scope), let declared = types.types[path] else {
            Issue.record("\(type), within \(scope), isn't declared in MeshAdmin")
            return type
        }
        if !declared.cases.isEmpty {
            return declared.cases.map { "`\($0.name)`" }.joined(separator: ", ")
        }
        if !named.contains(path) { named.append(path) }
        return "[\(path)](#\(path.replacing(".", with: "")))"
    }

    @Test("the page is what the declarations say")
    func page() throws {
        var named: [String] = []
        var text = """
            # Answers

            What commands print with `-o json`.

            ## Overview

            One document, or, of what goes on (`-w`, `-f`), one a line. Times are seconds or milliseconds as their name says; those that end in
            `UnixSeconds` or `UnixMilliseconds` count from 1970. What isn't known is left out. Within a major version fields are added, never
            renamed or removed: pass over what you don't know. Errors are sentences on the standard error, with an exit code (<doc:Operating>).

            | command | answer |
            |---|---|

            """
        for (command, type) in Self.answers {
            text += "| `weft \(command)` | \(self.text(type, within: "", &named)) |\n"
        }
        var told = 0
        while told < named.count {
            let path = named[told]
            told += 1
            let declared = try #require(types.types[path])
            #expect(!declared.fields.isEmpty, "\(path) has no fields")
            text += "\n### \(path)\n\n"
            if !declared.comment.isEmpty { text += "\(plain(declared.comment))\n\n" }
            text += "| field | type | meaning |\n|---|---|---|\n"
            for field in declared.fields {
                let type = self.text(field.type, within: path, &named)
                text += "| `\(field.name)` | \(type) | \(plain(field.comment)) |\n"
            }
        }
        let file = "\(root)/Sources/MeshAgent/MeshAgent.docc/Answers.md"
        if ProcessInfo.processInfo.environment["WEFT_WRITE_DOCS"] == "1" {
            try Data(text.utf8).write(to: URL(filePath: file))
        }
        let written = try String(contentsOf: URL(filePath: file), encoding: .utf8)
        #expect(written == text, "write it anew: WEFT_WRITE_DOCS=1 scripts/test")
    }

    @Test("every list is on the page")
    func complete() {
        let lists = CommandTests.commands.filter { $0.last == "list" && $0 != ["lab", "list"] }
        for words in lists {
            let name = words.joined(separator: " ")
            let isThere = Self.answers.contains {
                $0.command == name || "\($0.command) list" == name
            }
            #expect(isThere, "\(name)")
        }
    }

    @Test("what is encoded has the fields that the page has")
    func encoded() throws {
        let status = AgentStatus(
            version: "1", cluster: ClusterReference(name: "a", id: 1), node: "n",
            health: HealthSummary(state: .healthy, reasons: []), uptimeSeconds: 1, memoryBytes: 1,
            isDraining: false,
            publisher: PublisherStatus(node: nil, isLocal: true, isReachable: true), ledgers: [],
            peers: [], links: [], manifestProblems: [], ignoredKinds: [], warnings: [])
        let json = String(decoding: try adminJSON(status), as: UTF8.self)
        for field in try #require(types.types["AgentStatus"]).fields {
            #expect(json.contains("\"\(field.name)\":"), "\(field.name)")
        }
    }

    /// A comment for readers who have no source: links become code.
    private func plain(_ comment: String) -> String {
        comment.replacing("``", with: "`").replacing("|", with: "\\|")
    }
}
