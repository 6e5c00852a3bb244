// SPDX-License-Identifier: Apache-2.0

public import MeshKubernetes
public import MeshModel

/// What an API server and its etcd know, as a value: requests in, answers out, time as an argument.
///
/// Word for word what the recordings of a real server say where a client reads it; simpler than one
/// where no client of ours can see it.
public struct DoubleState: Sendable {
    /// Something that happened to an object of one resource.
    struct Event: Sendable {
        let version: UInt64
        let key: DoubleKey
        /// Nil: it was deleted.
        let object: DoubleObject?
        /// Nil: it was created.
        let former: DoubleObject?
    }

    public internal(set) var resources: [DoubleResource]
    /// Of the last write.
    public internal(set) var version: UInt64
    /// Watches and exact lists from before it fail.
    public internal(set) var compacted: UInt64
    var objects: [DoubleResource: [DoubleKey: DoubleObject]] = [:]
    var events: [DoubleResource: [Event]] = [:]
    var users: [String: DoubleUser] = [:]
    var uids: UInt64 = 0
    /// RFC 3339, for what is written.
    public var timestamp = "2026-11-22T12:32:36Z"
    /// Whether streaming lists are answered; an etcd without progress notifications can't.
    public var offersStreaming = true
    /// Whether a review of a bound token names its node, as servers do since 1.30.
    public var namesNodesOfTokens = true
    /// Whether bookmarks are sent at all, but for the one that ends a streaming list.
    public var sendsBookmarks = true
    /// Where services get their cluster IPs from; empty: what has none stays without.
    public var serviceNetworks: [Prefix] = []
    /// Without any, everybody may do everything.
    public var requiresToken: Bool { !users.isEmpty }

    public init(
        resources: [DoubleResource] = DoubleResource.builtIn, version: UInt64 = 200
    ) {
        self.resources = resources
        self.version = version
        compacted = version
    }

    // MARK: What happens to a server

    /// Forgets what happened before `version`, as etcd does every five minutes.
    public mutating func compact(to version: UInt64? = nil) {
        compacted = max(compacted, min(version ?? self.version, self.version))
        for resource in events.keys {
            events[resource]?.removeAll { $0.version <= compacted }
        }
    }

    /// An etcd that was restored as its manual says: an old state under versions that are higher
    /// than any before, and no history.
    public mutating func restore(_ former: DoubleState) {
        objects = former.objects
        version += 1_000_000
        events = [:]
        compacted = version
    }

    /// An etcd that was restored without care: versions go back.
    public mutating func rewind(to former: DoubleState) {
        objects = former.objects
        version = former.version
        events = former.events
        compacted = former.compacted
    }

    public mutating func install(_ resource: DoubleResource) { resources.append(resource) }

    // MARK: Objects, past the API

    /// Writes an object as the scheduler or a controller would: no version is compared.
    public mutating func put(_ resource: ObjectResource, _ value: JSONValue) {
        guard let target = target(resource) else { return }
        let metadata = value["metadata"]
        let key = DoubleKey(
            namespace: metadata["namespace"].text ?? "", name: metadata["name"].text ?? "")
        let present = objects[target.resource]?[key]
        var complete = value
        complete["metadata"] = self.metadata(of: value, key: key, former: present, target)
        write(complete, key, target)
    }

    public mutating func remove(_ resource: ObjectResource, namespace: String, name: String) {
        guard let target = target(resource) else { return }
        erase(DoubleKey(namespace: namespace, name: name), target.resource)
    }

    /// The text of every object as lists have it, by `namespace/name`.
    public func texts(_ resource: ObjectResource, nodeName: String? = nil) -> [String: [UInt8]] {
        guard let target = target(resource) else { return [:] }
        var texts: [String: [UInt8]] = [:]
        for (key, object) in objects[target.resource] ?? [:]
        where nodeName == nil || object.nodeName == nodeName {
            texts["\(key.namespace)/\(key.name)"] = object.item
        }
        return texts
    }

    /// Nil for what isn't there.
    public func object(
        _ resource: ObjectResource, namespace: String = "", name: String
    ) -> JSONValue? {
        target(resource).flatMap {
            objects[$0.resource]?[DoubleKey(namespace: namespace, name: name)]?.value
        }
    }

    public func count(_ resource: ObjectResource) -> Int {
        target(resource).map { objects[$0.resource]?.count ?? 0 } ?? 0
    }

    private func target(_ resource: ObjectResource) -> DoubleTarget? {
        DoubleTarget(
            resource.group.isEmpty
                ? ["api", resource.version, resource.plural]
                : ["apis", resource.group, resource.version, resource.plural], in: resources)
    }

    // MARK: Writing

    /// What the server adds: identity, age, generation.
    func metadata(
        of value: JSONValue, key: DoubleKey, former: DoubleObject?, _ target: DoubleTarget
    ) -> JSONValue {
        let old = former?.value["metadata"] ?? .null
        let given = value["metadata"]
        var metadata: JSONValue = ["name": .string(key.name)]
        if !key.namespace.isEmpty { metadata["namespace"] = .string(key.namespace) }
        let uid = old["uid"].text ?? given["uid"].text ?? nextUID
        metadata["uid"] = .string(uid)
        metadata["resourceVersion"] = ""
        if target.resource.hasGeneration {
            let isSame =
                former.map { Self.content($0.value) == Self.content(value) } ?? false
            let generation = old["generation"].integer ?? given["generation"].integer.map { $0 - 1 }
            metadata["generation"] = .number("\((generation ?? 0) + (isSame ? 0 : 1))")
        }
        metadata["creationTimestamp"] =
            former == nil && given["creationTimestamp"] == .null
            ? .string(timestamp)
            : former == nil ? given["creationTimestamp"] : old["creationTimestamp"]
        let own = [
            "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
        ]
        for member in given.members where !own.contains(member.key) {
            metadata[member.key] = member.value
        }
        return metadata
    }

    /// What a generation counts: all but metadata and status.
    private static func content(_ value: JSONValue) -> [JSONMember] {
        value.members.filter {
            !["kind", "apiVersion", "metadata", "status"].contains($0.key)
        }.sorted { $0.key < $1.key }
    }

    private var nextUID: String {
        let text = String(uids + 1, radix: 16)
        return "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - text.count) + text
    }

    @discardableResult
    mutating func write(
        _ value: JSONValue, _ key: DoubleKey, _ target: DoubleTarget
    ) -> DoubleObject {
        version += 1
        uids += 1
        let object = DoubleObject(
            allocated(value, target), version: version, resource: target.resource,
            apiVersion: target.apiVersion)
        let former = objects[target.resource, default: [:]].updateValue(object, forKey: key)
        events[target.resource, default: []].append(
            Event(version: version, key: key, object: object, former: former))
        return object
    }

    /// A service as it is when it has got its cluster IPs. They are nobody's fields: whoever applies the
    /// service without them leaves them.
    private func allocated(_ value: JSONValue, _ target: DoubleTarget) -> JSONValue {
        guard target.resource.plural == "services", !serviceNetworks.isEmpty,
            value["spec"]["clusterIP"] == .null, value["spec"]["type"] != "ExternalName"
        else { return value }
        let taken = Set(
            (objects[target.resource] ?? [:]).values.flatMap {
                $0.value["spec"]["clusterIPs"].items.compactMap(\.text)
            })
        let wanted = value["spec"]["ipFamilyPolicy"] == "PreferDualStack" ? 2 : 1
        let addresses = serviceNetworks.prefix(wanted).compactMap { network in
            (Self.firstNumber..<Self.firstNumber + 100).lazy
                .map { "\(network.address.advanced(by: $0))" }.first { !taken.contains($0) }
        }
        var value = value
        value["spec"]["clusterIP"] = addresses.first.map { .string($0) } ?? .null
        value["spec"]["clusterIPs"] = .array(addresses.map { .string($0) })
        return value
    }

    /// Below are those that users choose.
    private static let firstNumber: UInt64 = 100

    @discardableResult
    mutating func erase(_ key: DoubleKey, _ resource: DoubleResource) -> DoubleObject? {
        guard let former = objects[resource]?.removeValue(forKey: key) else { return nil }
        version += 1
        events[resource, default: []].append(
            Event(version: version, key: key, object: nil, former: former))
        return former
    }
}

extension DoubleResource {
    var hasGeneration: Bool {
        ![
            "leases", "configmaps", "secrets", "events", "serviceaccounts", "namespaces", "nodes",
            "services",
        ].contains(plural)
    }

    /// Whether `status` is written by itself.
    var hasStatus: Bool {
        isCustom || ["pods", "services", "nodes", "namespaces"].contains(plural)
    }
}
