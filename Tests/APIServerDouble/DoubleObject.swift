// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// An object as it is kept: as a tree and, made once, as text.
struct DoubleObject: Sendable {
    let value: JSONValue
    let version: UInt64
    /// With `kind` and `apiVersion`, as in a GET and in watch events.
    let text: [UInt8]
    /// As in a list: built-in types leave `kind` and `apiVersion` to the list.
    let item: [UInt8]
    let labels: [String: String]
    let nodeName: String?

    /// - Parameter value: with its metadata complete but for the version.
    init(_ value: JSONValue, version: UInt64, resource: DoubleResource, apiVersion: String) {
        var value = value
        value["metadata"]["resourceVersion"] = .string("\(version)")
        let kind: [JSONMember] = [
            JSONMember("kind", .string(resource.kind)),
            JSONMember("apiVersion", .string(apiVersion)),
        ]
        // A null that was written stays one.
        let rest = value.members.filter { $0.key != "kind" && $0.key != "apiVersion" }
        let typed = JSONValue.object(kind + rest)
        self.value = typed
        self.version = version
        text = typed.bytes
        item = resource.isCustom ? text : JSONValue.object(rest).bytes
        var labels: [String: String] = [:]
        for label in value["metadata"]["labels"].members { labels[label.key] = label.value.text }
        self.labels = labels
        nodeName = value["spec"]["nodeName"].text
    }
}

/// `spec.nodeName=…`, `metadata.name=…`, `metadata.namespace=…` and labels by equality.
struct DoubleSelector: Hashable, Sendable {
    private var fields: [String: String] = [:]
    private var labels: [String: String] = [:]
    private let namespace: String?

    /// - Throws: ``DoubleStatus`` 400 for a selector that the server doesn't index.
    init(_ query: [String: String], target: DoubleTarget) throws(DoubleStatus) {
        namespace = target.namespace
        for (key, value) in Self.terms(query["fieldSelector"]) {
            let isKnown =
                key == "metadata.name" || key == "metadata.namespace"
                || key == "spec.nodeName" && target.resource.plural == "pods"
            guard isKnown else {
                throw .badRequest(
                    "Unable to find \"\(target.resource.qualified)\" that match label selector "
                        + "\"\", field selector \"\(key)=\(value)\": field label not supported: "
                        + "\(key)")
            }
            fields[key] = value
        }
        for (key, value) in Self.terms(query["labelSelector"]) { labels[key] = value }
    }

    func matches(_ key: DoubleKey, _ object: DoubleObject) -> Bool {
        if let namespace, key.namespace != namespace { return false }
        for (field, value) in fields {
            switch field {
            case "metadata.name": guard key.name == value else { return false }
            case "metadata.namespace": guard key.namespace == value else { return false }
            default: guard (object.nodeName ?? "") == value else { return false }
            }
        }
        return labels.allSatisfy { object.labels[$0.key] == $0.value }
    }

    private static func terms(_ text: String?) -> [(String, String)] {
        (text ?? "").split(separator: ",").map { term in
            let sides = term.split(separator: "=", omittingEmptySubsequences: true)
            return (String(sides[0]), sides.count > 1 ? String(sides[1]) : "")
        }
    }
}

/// Ordered as etcd orders its keys, and with them the pages of a list.
struct DoubleKey: Hashable, Comparable, Sendable {
    let namespace: String
    let name: String

    /// `/shop/web`, as a continue token has it; `/node-1` without a namespace.
    var text: String { namespace.isEmpty ? "/\(name)" : "/\(namespace)/\(name)" }

    static func < (left: DoubleKey, right: DoubleKey) -> Bool { left.text < right.text }
}
