// SPDX-License-Identifier: Apache-2.0

/// A record of a cluster's ledger: what one cluster tells the others and its own nodes.
///
/// Encoded as a version byte, the fields in order, and whatever a later version appends: readers
/// ignore bytes behind the fields they know, and carriers pass values on unread.
public protocol LedgerRecord: Hashable, Sendable {
    static var kind: RecordKind { get }
    /// Unique among the records of its kind and cluster.
    var name: String { get }
    func encode(into writer: inout ByteWriter)
    init(from reader: inout ByteReader) throws(DecodingFault)
}

public enum RecordKind: String, Hashable, Comparable, Sendable, CaseIterable {
    case namespace
    case node
    case identity
    case endpoint
    case service
    case slice
    case relays
    case statement
    case peer
    case deny
    case authority
    case receipt
    case policy
    case member

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Key of a record in its cluster's ledger, written `kind/name`.
public struct RecordKey: Hashable, Comparable, Sendable {
    public static let maximumLength = 600
    public let kind: RecordKind
    public let name: String

    public init(kind: RecordKind, name: String) {
        self.kind = kind
        self.name = name
    }

    public static func < (left: RecordKey, right: RecordKey) -> Bool {
        (left.kind, left.name) < (right.kind, right.name)
    }
}

extension RecordKey: LosslessStringConvertible {
    public init?(_ text: String) {
        // Empty parts count: else one key would have many texts, and one record several keys.
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty, text.utf8.count <= Self.maximumLength,
            let kind = RecordKind(rawValue: String(parts[0]))
        else { return nil }
        self.init(kind: kind, name: String(parts[1]))
    }

    public var description: String { "\(kind.rawValue)/\(name)" }
}

extension LedgerRecord {
    public static var version: UInt8 { 1 }
    public var key: RecordKey { RecordKey(kind: Self.kind, name: name) }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        encode(into: &writer)
        return writer.bytes
    }

    /// - Throws: ``DecodingFault``: the record is quarantined and reported, the others go on.
    public init(encoded bytes: some Sequence<UInt8>) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version >= Self.version else { throw .unsupportedVersion(version) }
        try self.init(from: &reader)
    }
}

/// Bounds of every list and text in a record.
public enum RecordLimit {
    public static let addresses = 16
    public static let prefixes = 64
    public static let labels = 64
    public static let text = 1024
    public static let ports = 256
    public static let endpointsPerSlice = 1000
    /// Of a cluster at one time: three, and room for a later version to want more.
    public static let relays = 8
    /// As much as a ledger carries.
    public static let valueBytes = 63 * 1024
}

/// Labels or annotations, 0...64 pairs.
public typealias Labels = [String: String]

public struct NamespaceRecord: LedgerRecord {
    public static let kind = RecordKind.namespace
    public let name: String
    public let labels: Labels
    public let annotations: Labels

    public init(name: String, labels: Labels, annotations: Labels) {
        self.name = name
        self.labels = labels
        self.annotations = annotations
    }
}

public struct NodeRecord: LedgerRecord {
    public static let kind = RecordKind.node
    public let name: String
    /// Every outer source address the node may send from, 1...8; the first is where it is reached.
    public let outerAddresses: [Address]
    public let podPrefixes: [Prefix]
    public let zone: String
    /// Whether it is one as long as its cluster has announced no ``RelaySetRecord``.
    public let isRelay: Bool
    /// What it gossips with inside its cluster; at most two, the newest last.
    public let gossipKeys: [GossipKey]
    /// It leaves: no new flows, open ones finish, and no relay if another node can be.
    public let isDraining: Bool

    public init(
        name: String, outerAddresses: [Address], podPrefixes: [Prefix], zone: String,
        isRelay: Bool, gossipKeys: [GossipKey] = [], isDraining: Bool = false
    ) {
        self.name = name
        self.outerAddresses = outerAddresses
        self.podPrefixes = podPrefixes
        self.zone = zone
        self.isRelay = isRelay
        self.gossipKeys = gossipKeys
        self.isDraining = isDraining
    }
}

public struct IdentityRecord: LedgerRecord {
    public static let kind = RecordKind.identity
    public let identity: Identity
    public let labels: Labels
    public var name: String { String(identity.rawValue) }

    public init(identity: Identity, labels: Labels) {
        self.identity = identity
        self.labels = labels
    }
}

/// A workload's addresses. In a node's report `identity` is zero and `labels` are set; in the ledger
/// the publisher has allotted the identity and an ``IdentityRecord`` holds the labels.
public struct EndpointRecord: LedgerRecord {
    public static let kind = RecordKind.endpoint
    public let object: ObjectName
    public let node: String
    public let addresses: [Address]
    public let identity: Identity
    public let labels: Labels
    public var name: String { "\(object)" }

    public init(
        object: ObjectName, node: String, addresses: [Address], identity: Identity, labels: Labels
    ) {
        self.object = object
        self.node = node
        self.addresses = addresses
        self.identity = identity
        self.labels = labels
    }
}

public struct ServicePort: Hashable, Sendable {
    /// Empty for the only port of a service.
    public let name: String
    public let transport: TransportProtocol
    public let port: UInt16
    /// What is spoken there, such as `kubernetes.io/h2c`; empty if nobody says. See
    /// ``isQualifiedName(_:)``.
    public let application: String

    public init(
        name: String, transport: TransportProtocol, port: UInt16, application: String = ""
    ) {
        self.name = name
        self.transport = transport
        self.port = port
        self.application = application
    }
}

public struct ServiceRecord: LedgerRecord {
    public static let kind = RecordKind.service
    public let object: ObjectName
    /// Cluster IPs of this cluster, both families; empty for a headless service.
    public let addresses: [Address]
    public let ports: [ServicePort]
    public let isGlobal: Bool
    /// Whether other clusters may use this cluster's backends.
    public let isShared: Bool
    public let affinity: ServiceAffinity
    public let sessionAffinitySeconds: UInt32
    /// Whether only backends on the client's own node serve it (`internalTrafficPolicy: Local`).
    public let isNodeLocal: Bool
    /// When a ServiceExport for it was created, in Unix seconds; 0: there is none.
    public let exportedAt: UInt64
    /// Of a service that stands for one of the whole mesh: that one's name in the same namespace.
    /// Empty for all others.
    public let derivedFrom: String
    public let distribution: TrafficDistribution
    /// What its ServiceExport wants said of it in other clusters.
    public let exportedMetadata: ExportedMetadata
    /// Of a headless service, which has no addresses to tell them by; empty for all others, and where
    /// nobody says.
    public let headlessFamilies: [IPFamily]
    public var name: String { "\(object)" }

    public init(
        object: ObjectName, addresses: [Address], ports: [ServicePort], isGlobal: Bool,
        isShared: Bool, affinity: ServiceAffinity, sessionAffinitySeconds: UInt32,
        isNodeLocal: Bool = false, exportedAt: UInt64 = 0, derivedFrom: String = "",
        distribution: TrafficDistribution = .anywhere,
        exportedMetadata: ExportedMetadata = .none, headlessFamilies: [IPFamily] = []
    ) {
        self.object = object
        self.addresses = addresses
        self.ports = ports
        self.isGlobal = isGlobal
        self.isShared = isShared
        self.affinity = affinity
        self.sessionAffinitySeconds = sessionAffinitySeconds
        self.isNodeLocal = isNodeLocal
        self.exportedAt = exportedAt
        self.derivedFrom = derivedFrom
        self.distribution = distribution
        self.exportedMetadata = exportedMetadata
        self.headlessFamilies = headlessFamilies
    }

    /// Those it can be reached by, the preferred one first; empty if nobody says.
    public var families: [IPFamily] {
        guard !addresses.isEmpty else { return headlessFamilies }
        var families: [IPFamily] = []
        // A peer may name two addresses of one family.
        for address in addresses where !families.contains(address.family) {
            families.append(address.family)
        }
        return families
    }
}

/// Which ready backends of a service a node prefers (`trafficDistribution`).
public enum TrafficDistribution: UInt8, Hashable, Sendable, CaseIterable {
    case anywhere = 0
    /// Those in its zone, if there are any.
    case sameZone = 1
    /// Those on it, then those in its zone.
    case sameNode = 2
}

public struct SliceEndpoint: Hashable, Sendable {
    public let addresses: [Address]
    public let isReady: Bool
    public let isServing: Bool
    public let isTerminating: Bool
    /// Empty when the slice names none.
    public let node: String
    /// A DNS label by which it alone is found, such as `web-0`; empty for none.
    public let hostname: String

    public init(
        addresses: [Address], isReady: Bool, isServing: Bool, isTerminating: Bool, node: String,
        hostname: String = ""
    ) {
        self.addresses = addresses
        self.isReady = isReady
        self.isServing = isServing
        self.isTerminating = isTerminating
        self.node = node
        self.hostname = hostname
    }
}

/// An EndpointSlice: backends of a service, with the port numbers they listen on.
public struct SliceRecord: LedgerRecord {
    public static let kind = RecordKind.slice
    public let object: ObjectName
    /// Name of the service in the same namespace.
    public let service: String
    public let ports: [ServicePort]
    public let endpoints: [SliceEndpoint]
    public var name: String { "\(object)" }

    public init(
        object: ObjectName, service: String, ports: [ServicePort], endpoints: [SliceEndpoint]
    ) {
        self.object = object
        self.service = service
        self.ports = ports
        self.endpoints = endpoints
    }
}

/// Which nodes of a cluster talk to others, in the order in which they are paired with another
/// cluster's. Its publisher chooses them; whoever holds no such record ranks the configured nodes.
public struct RelaySetRecord: LedgerRecord {
    public static let kind = RecordKind.relays
    /// Rises with every change; from 1.
    public let generation: UInt64
    /// 1...8 names of nodes, all different.
    public let relays: [String]
    /// There is one such record in a ledger.
    public static let onlyKey = RecordKey(kind: kind, name: "current")
    public var name: String { Self.onlyKey.name }

    public init(generation: UInt64, relays: [String]) {
        self.generation = generation
        self.relays = relays
    }
}
