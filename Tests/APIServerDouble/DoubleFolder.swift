// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import Logging
import MeshKubernetes
import Yams

/// A folder of manifests that a double's objects are made of: it stands for users and controllers.
public struct DoubleFolder: Sendable {
    /// How often it is looked at.
    public static let interval = Duration.milliseconds(50)

    private struct Key: Hashable {
        let resource: ObjectResource
        let namespace: String
        let name: String
    }

    private let path: String
    private var texts: [String: String] = [:]
    private var objects: [String: Set<Key>] = [:]

    public init(path: String) { self.path = path }

    /// Puts what is new in the folder into the server, and takes away what is gone. What clients wrote into
    /// an object stays until its file says something else.
    public mutating func follow(_ server: APIServerDouble, _ log: Logger) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let files = names.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }
        var former: [Key] = []
        for name in Set(texts.keys).subtracting(files) {
            texts[name] = nil
            former += objects.removeValue(forKey: name) ?? []
        }
        for name in files.sorted() {
            guard let data = FileManager.default.contents(atPath: "\(path)/\(name)") else {
                continue
            }
            let text = String(decoding: data, as: UTF8.self)
            guard texts[name] != text else { continue }
            texts[name] = text
            do {
                let read = try Self.objects(of: text, in: server.state)
                former += (objects[name] ?? []).subtracting(read.map(\.key))
                objects[name] = Set(read.map(\.key))
                server.change { state in
                    for (key, value) in read where !state.has(value, as: key.resource) {
                        state.put(key.resource, value)
                    }
                }
            } catch {
                log.error(
                    "A manifest can't be used", metadata: ["file": "\(name)", "error": "\(error)"])
            }
        }
        let present = objects.values.reduce(into: Set()) { $0.formUnion($1) }
        for key in former where !present.contains(key) {
            server.change {
                $0.remove(key.resource, namespace: key.namespace, name: key.name)
            }
        }
    }

    private static func objects(
        of text: String, in state: DoubleState
    ) throws -> [(key: Key, value: JSONValue)] {
        try compose_all(yaml: text, .basic).compactMap { root in
            let value = JSONValue(root)
            guard let kind = value["kind"].text, let version = value["apiVersion"].text,
                let resource = state.resource(kind: kind, apiVersion: version)
            else { return nil }
            let metadata = value["metadata"]
            let key = Key(
                resource: resource, namespace: metadata["namespace"].text ?? "",
                name: metadata["name"].text ?? "")
            return (key, value)
        }
    }
}

extension JSONValue {
    /// As `kubectl` turns YAML into JSON.
    fileprivate init(_ node: Node) {
        switch node {
        case .mapping(let mapping):
            self = .object(
                mapping.map { JSONMember($0.key.string ?? "", JSONValue($0.value)) })
        case .sequence(let sequence): self = .array(sequence.map { JSONValue($0) })
        case .scalar(let scalar) where scalar.style == .plain:
            switch scalar.string {
            case "true": self = .bool(true)
            case "false": self = .bool(false)
            case "null", "~", "": self = .null
            case let text where Int(text) != nil: self = .number(text)
            case let text: self = .string(text)
            }
        case .scalar(let scalar): self = .string(scalar.string)
        case .alias: self = .null
        }
    }
}
