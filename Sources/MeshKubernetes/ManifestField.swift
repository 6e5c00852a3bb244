// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Yams

/// Why an object of a manifest can't be used: what its file last said stays in force.
struct ManifestFault: Error, Hashable {
    /// From 1; 0 for the whole file.
    let line: Int
    let message: String
}

/// A place in a manifest, present or not, that knows its path and its line.
struct ManifestField {
    private enum Content {
        /// Absent, or null in any of its spellings.
        case null
        case scalar(String, isPlain: Bool)
        case list([Source])
        /// Keys that aren't scalars are nil.
        case map([(key: String?, value: Source)])
    }

    /// What a parser made of a text.
    private enum Source {
        case yaml(Node)
        case json(JSONValue)

        var line: Int? {
            switch self {
            case .yaml(let node): node.mark?.line
            case .json: nil
            }
        }
    }

    let path: String
    /// Of the value, or of what it is missing from.
    let line: Int
    private let content: Content

    init(root: Node) {
        self.init(path: "", line: 1, .yaml(root))
    }

    /// An object of an API server: nothing in it has a line.
    init(root: JSONValue) {
        self.init(path: "", line: 0, .json(root))
    }

    private init(path: String, line: Int, _ source: Source?) {
        self.path = path
        self.line = source?.line ?? line
        switch source {
        case .yaml(let node): content = Self.content(of: node)
        case .json(let value): content = Self.content(of: value)
        case nil: content = .null
        }
    }

    private static func content(of value: JSONValue) -> Content {
        switch value {
        case .null: .null
        case .bool(let value): .scalar(value ? "true" : "false", isPlain: true)
        case .number(let text): .scalar(text, isPlain: true)
        case .string(let text): .scalar(text, isPlain: false)
        case .array(let elements): .list(elements.map { .json($0) })
        case .object(let members): .map(members.map { ($0.key, .json($0.value)) })
        }
    }

    private static func content(of node: Node) -> Content {
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain
            return isPlain && nulls.contains(scalar.string)
                ? .null : .scalar(scalar.string, isPlain: isPlain)
        case .sequence(let sequence): return .list(sequence.map { .yaml($0) })
        case .mapping(let mapping):
            return .map(mapping.map { (name(of: $0.key), .yaml($0.value)) })
        case .alias: return .null
        }
    }

    func fault(_ message: String) -> ManifestFault {
        ManifestFault(line: line, message: path.isEmpty ? message : "\(path) \(message)")
    }

    var isNull: Bool {
        if case .null = content { true } else { false }
    }

    subscript(key: String) -> ManifestField {
        get throws(ManifestFault) {
            let path =
                path.isEmpty ? key : key.contains(".") ? "\(path)[\(key)]" : "\(path).\(key)"
            let node = try members().first { $0.key == key }?.value
            return ManifestField(path: path, line: line, node)
        }
    }

    /// Elements of a list; none if it is null.
    ///
    /// - Throws: ``ManifestFault`` if there are more than `max`.
    func elements(max: Int) throws(ManifestFault) -> [ManifestField] {
        if isNull { return [] }
        guard case .list(let nodes) = content else { throw fault("must be a list") }
        guard nodes.count <= max else {
            throw fault("has \(nodes.count) elements; at most \(max) are allowed")
        }
        return nodes.enumerated().map { index, node in
            ManifestField(path: "\(path)[\(index)]", line: line, node)
        }
    }

    /// A map of strings, such as labels; empty if it is null.
    func strings(
        max: Int, where isWanted: (String) -> Bool = { _ in true }
    ) throws(ManifestFault) -> Labels {
        var result: Labels = [:]
        for (key, node) in try members() {
            guard let key else { throw fault("has a key that is not a string") }
            guard isWanted(key) else { continue }
            let field = ManifestField(path: "\(path)[\(key)]", line: line, node)
            let text = try field.string() ?? ""
            guard key.utf8.count <= RecordLimit.text, text.utf8.count <= RecordLimit.text
            else { throw field.fault("is longer than \(RecordLimit.text) bytes") }
            result[key] = text
        }
        guard result.count <= max else {
            throw fault("has \(result.count) entries; at most \(max) are allowed")
        }
        return result
    }

    /// Nil if it is null. What YAML takes for a number or a truth value must be quoted, as for
    /// the API server.
    func string() throws(ManifestFault) -> String? {
        if isNull { return nil }
        guard case .scalar(let text, let isPlain) = content else { throw fault("must be a string") }
        guard !isPlain || !Self.isNumberOrBool(text) else {
            throw fault("is \(text), not a string; put it in quotes")
        }
        return text
    }

    /// YAML sees a time where nothing is in quotes.
    func timestamp() throws(ManifestFault) -> String {
        guard case .scalar(let text, _) = content else { throw fault("must be a time") }
        return text
    }

    func requiredString() throws(ManifestFault) -> String {
        guard let text = try string(), !text.isEmpty else { throw fault("is missing") }
        return text
    }

    /// Nil if it is null.
    func bool() throws(ManifestFault) -> Bool? {
        if isNull { return nil }
        guard case .scalar(let text, isPlain: true) = content,
            let value = Self.bools[text.lowercased()]
        else { throw fault("must be true or false, without quotes") }
        return value
    }

    /// Nil if it is null.
    func integer(in range: ClosedRange<Int>) throws(ManifestFault) -> Int? {
        if isNull { return nil }
        let bounds = "\(range.lowerBound)...\(range.upperBound)"
        guard case .scalar(let text, let isPlain) = content else {
            throw fault("must be a number, \(bounds)")
        }
        guard isPlain, let value = Int(text), range.contains(value) else {
            throw fault("is \(isPlain ? text : "\"\(text)\""); must be \(bounds)")
        }
        return value
    }

    /// Whether it is a number as the API server sees it, not a text of digits.
    var isNumber: Bool {
        if case .scalar(let text, isPlain: true) = content { Int(text) != nil } else { false }
    }

    /// Names of its fields, in their order.
    func keys() throws(ManifestFault) -> [String] {
        var keys: [String] = []
        for (key, _) in try members() {
            guard let key else { throw fault("has a key that is not a string") }
            keys.append(key)
        }
        return keys
    }

    private func members() throws(ManifestFault) -> [(key: String?, value: Source)] {
        if isNull { return [] }
        guard case .map(let members) = content else { throw fault("must be a map of fields") }
        if let merged = members.first(where: { $0.key == "<<" }) {
            throw ManifestFault(
                line: merged.value.line ?? line,
                message: "a merge key (<<) is not supported; write the fields out")
        }
        return members
    }

    private static func name(of key: Node) -> String? {
        if case .scalar(let scalar) = key { scalar.string } else { nil }
    }

    private static let nulls: Set<String> = ["", "~", "null", "Null", "NULL"]
    private static let bools = [
        "true": true, "yes": true, "on": true, "false": false, "no": false, "off": false,
    ]

    private static func isNumberOrBool(_ text: String) -> Bool {
        if bools[text.lowercased()] != nil { return true }
        guard let first = text.utf8.first, first < UInt8(ascii: ":") else { return false }
        return Double(text) != nil
    }
}
