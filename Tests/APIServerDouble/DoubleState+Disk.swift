// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// A state on disk: a line for each write, the object as it was then, or `{"deleted": …}` with what names it.
extension DoubleState {
    /// How far versions go up when a state is taken up again, as etcd's manual says to do.
    private static let versionJump: UInt64 = 1_000_000

    /// What was written after `version`, in order.
    func lines(after version: UInt64) -> [UInt8] {
        var written: [(version: UInt64, line: JSONValue)] = []
        for (resource, events) in events {
            for event in events.reversed() {
                guard event.version > version else { break }
                let line: JSONValue =
                    event.object?.value
                    ?? [
                        "deleted": [
                            "kind": .string(resource.kind),
                            "apiVersion": event.former?.value["apiVersion"] ?? .null,
                            "namespace": .string(event.key.namespace),
                            "name": .string(event.key.name),
                        ]
                    ]
                written.append((event.version, line))
            }
        }
        return written.sorted { $0.version < $1.version }.flatMap { $0.line.bytes + "\n".utf8 }
    }

    /// The objects of such a file, under versions that are higher than any before, and no history.
    ///
    /// - Throws: what is no JSON in it; a last line without its end is one that nobody heard of.
    public init(lines bytes: [UInt8], resources: [DoubleResource]) throws {
        self.init(resources: resources)
        var newest = version
        let complete = bytes.prefix((bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1)
        for line in complete.split(separator: UInt8(ascii: "\n")) {
            let value = try JSONValue(Array(line))
            newest = max(newest, take(value))
            uids += 1
        }
        version = newest + Self.versionJump
        compacted = version
    }

    /// - Returns: the version of what it wrote.
    private mutating func take(_ value: JSONValue) -> UInt64 {
        let deleted = value["deleted"]
        let (type, names) = deleted == .null ? (value, value["metadata"]) : (deleted, deleted)
        guard let kind = type["kind"].text, let apiVersion = type["apiVersion"].text,
            let found = resource(kind: kind, apiVersion: apiVersion),
            let resource = resources.first(where: {
                $0.plural == found.plural && $0.group == found.group
            })
        else { return 0 }
        let key = DoubleKey(
            namespace: names["namespace"].text ?? "", name: names["name"].text ?? "")
        guard deleted == .null else {
            objects[resource]?[key] = nil
            return 0
        }
        let version = names["resourceVersion"].text.flatMap { UInt64($0) } ?? 1
        objects[resource, default: [:]][key] = DoubleObject(
            value, version: version, resource: resource, apiVersion: apiVersion)
        return version
    }

    /// The resource that an object of a manifest belongs to; nil if it isn't served.
    func resource(kind: String, apiVersion: String) -> ObjectResource? {
        for resource in resources where resource.kind == kind {
            for version in resource.versions where resource.apiVersion(version) == apiVersion {
                return ObjectResource(
                    group: resource.group, version: version, plural: resource.plural, kind: kind,
                    isNamespaced: resource.isNamespaced)
            }
        }
        return nil
    }

    /// Whether there is such an object that says what `value` does.
    func has(_ value: JSONValue, as resource: ObjectResource) -> Bool {
        let metadata = value["metadata"]
        let key = DoubleKey(
            namespace: metadata["namespace"].text ?? "", name: metadata["name"].text ?? "")
        let found = objects.first {
            $0.key.plural == resource.plural && $0.key.group == resource.group
        }
        guard let present = found?.value[key]?.value else { return false }
        return value.members.allSatisfy { member in
            ["kind", "apiVersion", "metadata"].contains(member.key)
                || present[member.key] == member.value
        } && metadata["labels"] == present["metadata"]["labels"]
            && metadata["annotations"] == present["metadata"]["annotations"]
    }
}
