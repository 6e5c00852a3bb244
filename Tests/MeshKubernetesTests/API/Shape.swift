// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// What of a JSON value is compared with a recording: which fields there are and of which type, not
/// what they say, nor in which order.
enum Shape {
    /// Fields whose names depend on the object's content.
    private static let opaque: Set<String> = [
        "fieldsV1", "labels", "annotations", "causes", "nodeInfo", "extra",
    ]

    /// Every path of the value with its type; lists count by their first element.
    static func of(_ value: JSONValue, at path: String = "") -> Set<String> {
        switch value {
        case .null: [path + ": null"]
        case .bool: [path + ": bool"]
        case .number: [path + ": number"]
        case .string: [path + ": string"]
        case .array(let items):
            items.reduce(into: [path + "[]"]) { $0.formUnion(of($1, at: path + "[]")) }
        case .object(let members):
            members.reduce(into: [path + "{}"]) { paths, member in
                let inner = "\(path).\(member.key)"
                if opaque.contains(member.key) {
                    paths.insert(inner)
                } else {
                    paths.formUnion(of(member.value, at: inner))
                }
            }
        }
    }
}
