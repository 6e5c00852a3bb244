// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

extension DoubleState {
    /// Server-side apply as far as it goes for slices and the like: the unit is a label, an
    /// annotation, a field of `spec` or another field of the object; lists are atomic.
    mutating func apply(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> DoubleAnswer {
        let manager = request.manager
        guard request.query["fieldManager"] != nil, let key = target.key else {
            throw .badRequest(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value")
        }
        let patch = Self.defaulted(try body(request, target))
        try validate(patch, name: key.name, target)
        if let path = target.resource.undeclaredPath(in: patch) {
            throw .undeclared(target.resource, patch, path)
        }
        // What a subresource owns is its own affair.
        let part = target.subresource
        let wanted = FieldOwnership.paths(of: patch, part: part)
        guard let former = objects[target.resource]?[key] else {
            guard part == nil else { throw .notFound(target.resource, key.name) }
            var value = patch
            value["metadata"] = metadata(of: patch, key: key, former: nil, target)
            var ownership = FieldOwnership()
            ownership.own(wanted, manager: manager, operation: "Apply", part: nil)
            ownership.write(to: &value, target, timestamp)
            return DoubleAnswer(status: 201, body: write(value, key, target).text)
        }
        var ownership = FieldOwnership(former.value)
        var value = former.value
        for path in wanted {
            let owner = ownership.others(of: path, than: manager).first
            guard let owner,
                FieldOwnership.get(path, of: value) != FieldOwnership.get(path, of: patch)
            else { continue }
            guard request.query["force"] == "true" else {
                throw .applyConflict(target.resource, key.name, manager: owner)
            }
            ownership.release(path, butFor: manager)
        }
        for path in ownership.paths(manager: manager, operation: "Apply", part: part)
        where !wanted.contains(path) && ownership.others(of: path, than: manager).isEmpty {
            FieldOwnership.set(path, of: &value, to: .null)
        }
        for path in wanted {
            FieldOwnership.set(path, of: &value, to: FieldOwnership.get(path, of: patch))
        }
        ownership.own(wanted, manager: manager, operation: "Apply", part: part)
        value["metadata"] = metadata(of: value, key: key, former: former, target)
        ownership.write(to: &value, target, timestamp)
        value["metadata"]["resourceVersion"] = former.value["metadata"]["resourceVersion"]
        guard FieldOwnership.sorted(value) != FieldOwnership.sorted(former.value) else {
            return DoubleAnswer(body: former.text)
        }
        return DoubleAnswer(body: write(value, key, target).text)
    }

    /// Writes down whose the changed fields are.
    func track(
        _ value: inout JSONValue, former: JSONValue?, manager: String, _ target: DoubleTarget
    ) {
        // A custom object has them from its first apply on.
        let fields = former?["metadata"]["managedFields"] ?? .null
        guard !target.resource.isCustom || fields != .null else {
            value["metadata"]["managedFields"] = .null
            return
        }
        var ownership = former.map { FieldOwnership($0) } ?? FieldOwnership()
        let changed = FieldOwnership.paths(of: value).filter { path in
            guard let former else { return true }
            return FieldOwnership.get(path, of: former) != FieldOwnership.get(path, of: value)
        }
        if !changed.isEmpty {
            for path in changed { ownership.release(path, butFor: manager) }
            ownership.own(
                ownership.paths(manager: manager, operation: "Update", part: nil).union(changed),
                manager: manager, operation: "Update", part: nil)
        }
        ownership.write(to: &value, target, timestamp)
    }

    /// What the server writes where a client left it out, as far as slices go.
    private static func defaulted(_ value: JSONValue) -> JSONValue {
        guard value["kind"] == "EndpointSlice" else { return value }
        var value = value
        let ports = value["ports"].items.map { port in
            var port = port
            if port["protocol"] == .null { port["protocol"] = "TCP" }
            return port
        }
        if !ports.isEmpty { value["ports"] = .array(ports) }
        return value
    }
}

/// Whose a field is: `metadata.managedFields`.
struct FieldOwnership {
    typealias Path = [String]

    private struct Entry {
        let manager: String
        let operation: String
        /// A subresource; nil: the object itself.
        let part: String?
        var paths: Set<Path>
        var time: JSONValue
    }

    private var entries: [Entry] = []

    init() {}

    init(_ object: JSONValue) {
        for entry in object["metadata"]["managedFields"].items {
            entries.append(
                Entry(
                    manager: entry["manager"].text ?? "",
                    operation: entry["operation"].text ?? "",
                    part: entry["subresource"].text, paths: Self.parse(entry["fieldsV1"]),
                    time: entry["time"]))
        }
    }

    func paths(manager: String, operation: String, part: String?) -> Set<Path> {
        entries.first {
            $0.manager == manager && $0.operation == operation && $0.part == part
        }?.paths ?? []
    }

    func others(of path: Path, than manager: String) -> [String] {
        entries.filter { $0.manager != manager && $0.paths.contains(path) }.map(\.manager)
    }

    mutating func release(_ path: Path, butFor manager: String) {
        for index in entries.indices where entries[index].manager != manager {
            entries[index].paths.remove(path)
        }
    }

    mutating func own(
        _ paths: some Collection<Path>, manager: String, operation: String, part: String?
    ) {
        let paths = Set(paths)
        if let index = entries.firstIndex(where: {
            $0.manager == manager && $0.operation == operation && $0.part == part
        }) {
            guard entries[index].paths != paths else { return }
            entries[index].paths = paths
            entries[index].time = .null
        } else {
            entries.append(
                Entry(
                    manager: manager, operation: operation, part: part, paths: paths, time: .null))
        }
    }

    func write(to value: inout JSONValue, _ target: DoubleTarget, _ timestamp: String) {
        let fields = entries.filter { !$0.paths.isEmpty }.map { entry -> JSONValue in
            var field: JSONValue = [
                "manager": .string(entry.manager), "operation": .string(entry.operation),
                "apiVersion": .string(target.apiVersion),
                "time": entry.time == .null ? .string(timestamp) : entry.time,
                "fieldsType": "FieldsV1", "fieldsV1": Self.fields(entry.paths),
            ]
            if let part = entry.part { field["subresource"] = .string(part) }
            return field
        }
        value["metadata"]["managedFields"] = fields.isEmpty ? .null : .array(fields)
    }

    // MARK: Paths

    static func paths(of object: JSONValue, part: String? = nil) -> [Path] {
        var paths: [Path] = []
        if let part { return object[part].members.map { [part, $0.key] } }
        for member in object.members {
            switch member.key {
            case "kind", "apiVersion", "status": continue
            case "metadata":
                for map in ["labels", "annotations"] {
                    paths += member.value[map].members.map { ["metadata", map, $0.key] }
                }
                for list in ["ownerReferences", "finalizers"] where member.value[list] != .null {
                    paths.append(["metadata", list])
                }
            case "spec": paths += member.value.members.map { ["spec", $0.key] }
            default: paths.append([member.key])
            }
        }
        return paths
    }

    static func get(_ path: Path, of value: JSONValue) -> JSONValue {
        path.reduce(value) { $0[$1] }
    }

    static func set(_ path: Path, of value: inout JSONValue, to new: JSONValue) {
        guard let key = path.first else {
            value = new
            return
        }
        var inner = value[key]
        set(Array(path.dropFirst()), of: &inner, to: new)
        value[key] = inner == .object([]) && new == .null ? .null : inner
    }

    /// Whose order doesn't count.
    static func sorted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(
                members.sorted { $0.key < $1.key }.map { JSONMember($0.key, sorted($0.value)) })
        case .array(let items): .array(items.map(sorted))
        default: value
        }
    }

    private static func fields(_ paths: Set<Path>) -> JSONValue {
        var result = JSONValue.object([])
        for path in paths.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            set(path.map { "f:\($0)" }, of: &result, to: .object([]))
        }
        return result
    }

    private static func parse(_ fields: JSONValue) -> Set<Path> {
        var paths: Set<Path> = []
        for member in fields.members where member.key.hasPrefix("f:") {
            let key = String(member.key.dropFirst(2))
            let inner = parse(member.value)
            if inner.isEmpty { paths.insert([key]) }
            for path in inner { paths.insert([key] + path) }
        }
        return paths
    }
}
