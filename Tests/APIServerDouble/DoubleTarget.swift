// SPDX-License-Identifier: Apache-2.0

/// What a path names.
struct DoubleTarget: Hashable {
    let resource: DoubleResource
    let version: String
    let namespace: String?
    let name: String?
    let subresource: String?

    var apiVersion: String { resource.apiVersion(version) }

    /// Nil if no such resource is served.
    init?(_ path: [String], in resources: [DoubleResource]) {
        var rest = path[...]
        let group: String
        switch rest.popFirst() {
        case "api": group = ""
        case "apis":
            guard let name = rest.popFirst() else { return nil }
            group = name
        default: return nil
        }
        guard let version = rest.popFirst() else { return nil }
        var namespace: String?
        if rest.first == "namespaces", rest.count > 2 {
            namespace = rest.dropFirst().first
            rest = rest.dropFirst(2)
        }
        guard let plural = rest.popFirst(),
            let resource = resources.first(where: {
                $0.group == group && $0.plural == plural && $0.versions.contains(version)
            }), resource.isNamespaced || namespace == nil, rest.count <= 2
        else { return nil }
        self.resource = resource
        self.version = version
        self.namespace = namespace
        name = rest.popFirst()
        subresource = rest.popFirst()
    }
}
