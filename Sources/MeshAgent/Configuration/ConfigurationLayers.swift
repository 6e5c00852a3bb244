// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import Yams

/// A node's configuration as it was said: a file, the environment's variables over it, options of the
/// command line over both. Which says what is known for every value.
public struct ConfigurationLayers {
    /// Who said a value.
    public enum Origin: Hashable, Sendable, CustomStringConvertible {
        case file(String, line: Int?)
        case variable(String)
        case option

        public var description: String {
            switch self {
            case .file(let path, let line): line.map { "\(path):\($0)" } ?? path
            case .variable(let name): "$\(name)"
            case .option: "--set"
            }
        }
    }

    let file: String
    private(set) var root: Node
    private var origins: [String: Origin] = [:]
    /// Keys that nobody knows; with one, nothing is used.
    public private(set) var problems: [ConfigurationError] = []

    /// - Parameters:
    ///   - environment: `WEFT_PORTS_STATE` and the like.
    ///   - options: `ports.state=4790`.
    /// - Throws: ``ConfigurationError``: the file can't be read, or is no YAML mapping.
    public init(
        file: String, environment: [String: String] = [:], options: [String] = []
    ) throws {
        self.file = file
        root = try Self.read(file)
        let known = KeyTree(Setting.all.map(\.key))
        var problems: [ConfigurationError] = []
        known.walk(root) { key, node, fault in
            let origin = Origin.file(file, line: node.mark?.line)
            if let fault {
                problems.append(ConfigurationError("\(origin)", fault))
            } else {
                origins[key] = origin
            }
        }
        for setting in Setting.all {
            guard let text = environment[setting.variable] else { continue }
            try set(setting, to: text, from: .variable(setting.variable))
        }
        for name in environment.keys.sorted() where name.hasPrefix(Setting.variablePrefix) {
            guard let meant = Self.misspelt(name) else { continue }
            problems.append(
                ConfigurationError("$\(name)", "isn't known; did you mean \(meant)?"))
        }
        for option in options {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw ConfigurationError("--set \(option)", "must be KEY=VALUE")
            }
            guard let setting = Setting.named(parts[0]) else {
                problems.append(ConfigurationError("--set", known.sentence(about: parts[0])))
                continue
            }
            try set(setting, to: parts[1], from: .option)
        }
        self.problems = problems
    }

    /// Who said the value of a setting, nil if nobody did.
    public func origin(of setting: Setting) -> Origin? { origins[setting.key] }

    /// What was said, as it could be written in one line; nil if nothing was.
    public func value(of setting: Setting) -> String? {
        guard origins[setting.key] != nil else { return nil }
        var node: Node? = root
        for name in setting.key.split(separator: ".") { node = node?.mapping?[String(name)] }
        return node.map(Self.line)
    }

    /// The same sentence, with the place where the value that it begins with was said.
    func located(_ error: ConfigurationError) -> ConfigurationError {
        let key = String(error.message.prefix { $0 != ":" && $0 != " " })
        return origins[key].map { ConfigurationError("\($0)", error.message) } ?? error
    }

    // MARK: Layers

    private static func read(_ file: String) throws(ConfigurationError) -> Node {
        let bytes = try readSetting(file, bytesMaximum: AgentConfiguration.maximumFileBytes)
        let node: Node?
        do {
            node = try compose(yaml: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw ConfigurationError(file, "is not YAML: \(error)")
        }
        guard let node, node.mapping != nil else {
            throw ConfigurationError(file, "holds no mapping such as 'mesh: example'")
        }
        return node
    }

    private mutating func set(
        _ setting: Setting, to text: String, from origin: Origin
    ) throws(ConfigurationError) {
        let value: Node
        switch setting.kind {
        case .text: value = Node(text, Tag(.str), .doubleQuoted)
        case .value:
            do {
                guard let node = try compose(yaml: text) else {
                    throw ConfigurationError("\(origin)", "\(setting.key) is empty")
                }
                value = node
            } catch let error as ConfigurationError {
                throw error
            } catch {
                throw ConfigurationError("\(origin)", "\(setting.key) is not YAML: \(error)")
            }
        }
        let names = setting.key.split(separator: ".").map(String.init)
        root = Self.replacing(names[...], in: root, by: value)
        // What it replaces isn't said any more: a mapping by a name, or a name by a mapping.
        for count in 1..<names.count + 1 {
            origins[names.prefix(count).joined(separator: ".")] = nil
        }
        for key in origins.keys where key.hasPrefix(setting.key + ".") { origins[key] = nil }
        origins[setting.key] = origin
    }

    private static func replacing(_ names: ArraySlice<String>, in node: Node?, by value: Node)
        -> Node
    {
        guard let name = names.first else { return value }
        var mapping = node?.mapping ?? Node.Mapping([])
        mapping[Node(name)] = replacing(names.dropFirst(), in: mapping[name], by: value)
        return .mapping(mapping)
    }

    /// The variable that was meant by one that is nearly a setting's; others are somebody else's.
    private static func misspelt(_ name: String) -> String? {
        let known = Setting.all.map(\.variable)
        guard !known.contains(name), name != "WEFT_SOCKET" else { return nil }
        return known.filter { editDistance($0, name) <= 2 }.min {
            (editDistance($0, name), $0) < (editDistance($1, name), $1)
        }
    }

    private static func line(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): scalar.string.isEmpty ? "''" : scalar.string
        case .sequence(let nodes): "[\(nodes.map(line).joined(separator: ", "))]"
        case .mapping(let pairs):
            "{\(pairs.map { "\(line($0.key)): \(line($0.value))" }.joined(separator: ", "))}"
        case .alias: "*"
        }
    }
}
