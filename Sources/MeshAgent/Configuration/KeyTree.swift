// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Yams

/// The keys that a configuration may have, as mappings within mappings.
struct KeyTree {
    /// Names that a mapping may have, by the mapping's own key; "" for the whole.
    private var children: [String: [String]] = [:]
    private let keys: Set<String>

    /// - Parameter keys: with dots.
    init(_ keys: [String]) {
        self.keys = Set(keys)
        for key in keys {
            var parent = ""
            for name in key.split(separator: ".").map(String.init) {
                if children[parent]?.contains(name) != true {
                    children[parent, default: []].append(name)
                }
                parent = parent.isEmpty ? name : "\(parent).\(name)"
            }
        }
    }

    /// Calls `body` with every value that has a key of its own, and every key that has no business here
    /// with what is wrong about it.
    func walk(_ root: Node, _ body: (_ key: String, _ node: Node, _ fault: String?) -> Void) {
        walk(root, at: "", body)
    }

    private func walk(
        _ node: Node, at key: String, _ body: (String, Node, String?) -> Void
    ) {
        guard let names = children[key], let mapping = node.mapping else {
            return body(key, node, nil)
        }
        for (name, value) in mapping {
            let child = key.isEmpty ? name.string ?? "" : "\(key).\(name.string ?? "")"
            if names.contains(name.string ?? "") {
                walk(value, at: child, body)
            } else {
                body(child, name, sentence(about: child))
            }
        }
    }

    /// What is wrong about a key that isn't known, and what may have been meant.
    func sentence(about key: String) -> String {
        let parts = key.split(separator: ".").map(String.init)
        let parent = parts.dropLast().joined(separator: ".")
        let siblings = children[parent] ?? []
        let name = parts.last ?? ""
        var meant = nearest(name, among: siblings).map { parent.isEmpty ? $0 : "\(parent).\($0)" }
        if meant == nil {
            // The right name in the wrong place.
            let elsewhere = keys.sorted().filter {
                $0.split(separator: ".").last == Substring(name)
            }
            if elsewhere.count == 1 { meant = elsewhere[0] }
        }
        if let meant { return "\(key) isn't known; did you mean \(meant)?" }
        let known = siblings.joined(separator: ", ")
        return known.isEmpty
            ? "\(key) isn't known" : "\(key) isn't known; what is known there is \(known)"
    }
}
