// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The types of what the agent answers, read from their declarations: fields with their types and what
/// the comments say of them. Enough Swift for how these files are written.
struct AnswerTypes {
    struct Field {
        let name: String
        let type: String
        let comment: String
    }

    struct Declared {
        var comment = ""
        /// Of a structure.
        var fields: [Field] = []
        /// Of an enumeration: each value with its comment.
        var cases: [(name: String, comment: String)] = []
    }

    /// By the name with those of the types around it: `HealthSummary.State`.
    private(set) var types: [String: Declared] = [:]

    /// - Parameter folder: of Swift files, gone through with those in it.
    init(in folder: String) throws {
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
        where name.hasSuffix(".swift") {
            add(try String(contentsOf: URL(filePath: "\(folder)/\(name)"), encoding: .utf8))
        }
    }

    private mutating func add(_ text: String) {
        var around: [(indent: Int, name: String)] = []
        var comment: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let indent = line.prefix { $0 == " " }.count
            let code = line.dropFirst(indent)
            if code.hasPrefix("///") {
                comment.append(String(code.dropFirst(3).drop { $0 == " " }))
                continue
            }
            if code == "}", let last = around.last, last.indent == indent { around.removeLast() }
            defer { if !code.isEmpty { comment = [] } }
            let said = comment.prefix { !$0.isEmpty && !$0.hasPrefix("- ") }.joined(separator: " ")
            let words = code.split(separator: " ").drop { ["public", "indirect"].contains($0) }
            guard let kind = words.first, words.count > 1 else { continue }
            let name = String(words[words.startIndex + 1].prefix { $0.isLetter || $0.isNumber })
            switch kind {
            case "struct", "enum", "extension":
                guard code.hasSuffix("{") else { continue }
                around.append((indent, name))
                if kind != "extension" { types[path(around)] = Declared(comment: said) }
            case "var", "let":
                guard let scope = around.last, indent == scope.indent + 4, !code.contains("{"),
                    code.hasPrefix("public"), let colon = code.firstIndex(of: ":")
                else { continue }
                let type = code[code.index(after: colon)...].split(separator: "=")[0]
                    .drop { $0 == " " }
                types[path(around)]?.fields.append(
                    Field(
                        name: name, type: String(type).trimmed, comment: said))
            case "case":
                guard let scope = around.last, indent == scope.indent + 4 else { continue }
                for value in code.dropFirst("case ".count).split(separator: ",") {
                    types[path(around)]?.cases.append((String(value).trimmed, said))
                }
            default: continue
            }
        }
    }

    private func path(_ around: [(indent: Int, name: String)]) -> String {
        around.map(\.name).joined(separator: ".")
    }

    /// The declared type that a name means within another one.
    func resolve(_ name: String, within scope: String) -> String? {
        var scopes = scope.split(separator: ".").map(String.init)
        while true {
            let path = (scopes + [name]).joined(separator: ".")
            if types[path] != nil { return path }
            guard !scopes.isEmpty else { return nil }
            scopes.removeLast()
        }
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
