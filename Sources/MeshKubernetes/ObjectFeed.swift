// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What an API server lists and watches.
public struct ObjectResource: Hashable, Sendable {
    /// Empty for the core group.
    public let group: String
    public let version: String
    /// As paths name it: `endpointslices`.
    public let plural: String
    /// Of one object; items of a list often don't say it.
    public let kind: String
    public let isNamespaced: Bool

    public init(group: String, version: String, plural: String, kind: String, isNamespaced: Bool) {
        self.group = group
        self.version = version
        self.plural = plural
        self.kind = kind
        self.isNamespaced = isNamespaced
    }

    /// `v1` or `discovery.k8s.io/v1`, as objects write it.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
}

extension ObjectResource: CustomStringConvertible {
    /// `endpointslices.discovery.k8s.io`, as operators write it.
    public var description: String { group.isEmpty ? plural : "\(plural).\(group)" }
}

/// One watch: a resource, all of it or the part that a field selector leaves.
public struct ObjectSelection: Hashable, Sendable {
    public let resource: ObjectResource
    /// `spec.nodeName=node-1`; nil for all. Not percent-encoded.
    public let fieldSelector: String?
    /// A server that doesn't have the resource (404) has none of its objects: asked for again later,
    /// no error. Otherwise a 404 is one.
    public let isOptional: Bool

    public init(_ resource: ObjectResource, fieldSelector: String? = nil, isOptional: Bool = false)
    {
        self.resource = resource
        self.fieldSelector = fieldSelector
        self.isOptional = isOptional
    }
}

/// One object as the server wrote it.
public struct ObjectText: Hashable, Sendable {
    /// As much as one object may take; etcd's own bound is 1.5 MiB.
    public static let maximumBytes = 4 << 20

    /// The namespace is empty where the resource has none.
    public let name: ObjectName
    /// Opaque; compared with nothing but itself.
    public let resourceVersion: String
    /// UTF-8 JSON of the object alone, at most ``maximumBytes``; a larger one is delivered without
    /// its bytes, for the consumer to report.
    public let json: [UInt8]?

    public init(name: ObjectName, resourceVersion: String, json: [UInt8]?) {
        self.name = name
        self.resourceVersion = resourceVersion
        self.json = json
    }
}

/// What a reflector delivers about one ``ObjectSelection``, in order.
///
/// A list is marked and swept: `listBegan`, any number of `listed`, `listEnded`. What was known
/// before stays in force until `listEnded`; whatever wasn't in the list is gone then. `listBegan`
/// again discards the marks of a list that was cut off. No memory holds more than a page.
public enum ObjectEvent: Sendable {
    case listBegan
    /// A page, or an event of a streaming list.
    case listed([ObjectText])
    /// The state is the server's at this version.
    case listEnded(resourceVersion: String)
    /// ADDED or MODIFIED.
    case changed(ObjectText)
    /// DELETED; nothing if it wasn't known. Its version is the deletion's.
    case removed(ObjectName, resourceVersion: String)
    /// A bookmark: nothing changed up to this version.
    case reached(resourceVersion: String)
    case health(FeedHealth)
}

/// How a reflector stands with its server; delivered when `phase` or `lastError` changes.
public struct FeedHealth: Hashable, Sendable {
    public enum Phase: String, Hashable, Sendable, CaseIterable {
        /// Never synced yet.
        case connecting
        /// The state is the server's, but for events on their way.
        case synced
        /// Synced before, and now without a watch: what was last known stays in force.
        case stale
        /// The server doesn't have the resource; none of its objects exist.
        case absent
    }

    public let phase: Phase
    /// When the phase began, in Unix seconds.
    public let sinceUnixSeconds: Int64
    /// Of the last attempt that failed, nil once one succeeded: a sentence of at most 256 bytes
    /// without secrets.
    public let lastError: String?

    public init(phase: Phase, sinceUnixSeconds: Int64, lastError: String? = nil) {
        self.phase = phase
        self.sinceUnixSeconds = sinceUnixSeconds
        self.lastError = lastError
    }
}

/// Takes in what reflectors deliver.
public protocol ObjectConsumer: Sendable {
    /// The reflector reads on from its socket when this returns. Called for one selection at a time,
    /// for several selections at once.
    func receive(_ event: ObjectEvent, of selection: ObjectSelection) async
}

extension ObjectResource {
    public static let services = core("services", "Service")
    public static let pods = core("pods", "Pod")
    public static let namespaces = core("namespaces", "Namespace", isNamespaced: false)
    public static let nodes = core("nodes", "Node", isNamespaced: false)
    public static let endpointSlices = ObjectResource(
        group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice",
        isNamespaced: true)
    public static let networkPolicies = ObjectResource(
        group: "networking.k8s.io", version: "v1", plural: "networkpolicies",
        kind: "NetworkPolicy", isNamespaced: true)
    public static let clusterNetworkPolicies = ObjectResource(
        group: "policy.networking.k8s.io", version: "v1alpha2", plural: "clusternetworkpolicies",
        kind: "ClusterNetworkPolicy", isNamespaced: false)

    /// - Parameter version: `v1beta1` or `v1alpha1`.
    public static func serviceExports(_ version: String) -> ObjectResource {
        multicluster(version, "serviceexports", "ServiceExport")
    }

    /// - Parameter version: `v1beta1` or `v1alpha1`.
    public static func serviceImports(_ version: String) -> ObjectResource {
        multicluster(version, "serviceimports", "ServiceImport")
    }

    private static func core(
        _ plural: String, _ kind: String, isNamespaced: Bool = true
    ) -> ObjectResource {
        ObjectResource(
            group: "", version: "v1", plural: plural, kind: kind, isNamespaced: isNamespaced)
    }

    private static func multicluster(
        _ version: String, _ plural: String, _ kind: String
    ) -> ObjectResource {
        ObjectResource(
            group: "multicluster.x-k8s.io", version: version, plural: plural, kind: kind,
            isNamespaced: true)
    }
}
