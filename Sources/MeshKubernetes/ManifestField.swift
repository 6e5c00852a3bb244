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
        case list([Node])
        /// Keys that aren't scalars are nil.
        case map([(key: String?, value: Node)])
    }

    let path: String
    /// Of the value, or of what it is missing from.
    let line: Int
    private let content: Content

    init(root: Node) {
        self.init(path: "", line: 1, node: root)
    }

    private init(path: String, line: Int, node: Node?) {
        self.path = path
        self.line = node?.mark?.line ?? line
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain
            content =
                isPlain && Self.nulls.contains(scalar.string)
                ? .null : .scalar(scalar.string, isPlain: isPlain)
        case .sequence(let sequence): content = .list(Array(sequence))
        case .mapping(let mapping):
            content = .map(mapping.map { (Self.name(of: $0.key), $0.value) })
        case .alias, nil: content = .null
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
            return ManifestField(path: path, line: line, node: node)
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
            ManifestField(path: "\(path)[\(index)]", line: line, node: node)
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
            let field = ManifestField(path: "\(path)[\(key)]", line: line, node: node)
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

    private func members() throws(ManifestFault) -> [(key: String?, value: Node)] {
        if isNull { return [] }
        guard case .map(let members) = content else { throw fault("must be a map of fields") }
        if let merged = members.first(where: { $0.key == "<<" }) {
            throw ManifestFault(
                line: merged.value.mark?.line ?? line,
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
