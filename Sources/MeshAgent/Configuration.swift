// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import Logging
public import MeshModel
import MeshTrust
import Yams

/// What a node's configuration file says, checked. Every path is absolute.
public struct AgentConfiguration: Sendable {
    public struct Member: Hashable, Sendable {
        public let name: String
        /// Underlay address.
        public let address: Address
    }

    public struct Ports: Hashable, Sendable {
        /// TCP: streams between nodes.
        public var state: UInt16 = 4790
        /// UDP: heartbeats.
        public var health: UInt16 = 4791
        /// UDP: the overlay.
        public var vxlan: UInt16 = 8472
        /// TCP: on the home, from nodes and clusters that join.
        public var enrolment: UInt16 = 4792
    }

    public struct Paths: Hashable, Sendable {
        /// What survives a restart: addresses in use, ledgers, the lease.
        public let state: String
        /// A folder in a bpffs for this node's pins.
        public let bpf: String
        /// The cgroup v2 folder whose processes' sockets are translated.
        public let cgroup: String
        /// Admin sockets.
        public let run: String
        public let manifests: String
        /// One file per other cluster.
        public let peers: String
        /// `ca.pem`, `node.pem`, `node.key`; on the publisher also `authority/`.
        public let trust: String
    }

    public let mesh: String
    public let clusterName: ClusterName
    public let cluster: ClusterID
    public let node: NodeID
    public internal(set) var zone: String
    public let publisher: PublisherConfiguration
    /// Every node of the cluster that is configured, this one included, sorted by name.
    public internal(set) var members: [Member]
    /// Whether `nodes` is said; otherwise the API server has them.
    public internal(set) var listsNodes = true
    public let underlay: Address
    /// Nil: whichever has ``underlay``.
    public let underlayInterface: String?
    /// Empty until its Node object was read.
    public internal(set) var podPrefixes: [Prefix]
    public let ports: Ports
    public let paths: Paths
    public let healthProfile: HealthProfile
    /// Two numbers, what this node can do and what of it is used; nil: its processors.
    public var capacityFile: String?
    public let flowEvents: Bool
    /// Loopback port of the Prometheus metrics; nil: none.
    public let metricsPort: UInt16?
    /// Loopback port of the page; nil: none.
    public var pagePort: UInt16? = Self.defaultPagePort
    static let defaultPagePort: UInt16 = 4793
    var metrics = MetricsSettings()

    /// What of other clusters' ledgers this node imports.
    public enum Imports: String, Sendable, CaseIterable {
        case everything
        /// Services only of namespaces where this cluster has some, too.
        case needed
    }

    public let imports: Imports
    /// The API server that objects come from beside the folder; nil: the folder alone.
    public var kubernetes: KubernetesSettings?
    /// How this node comes to its first certificate without an operator; nil: it doesn't.
    var join: JoinSettings?
    var policy = PolicySettings()
    /// Which labels make an endpoint's identity.
    let identityLabels: IdentityLabels
    /// What this cluster asks others to let it announce; nil: its nodes' pod prefixes.
    var charter: ClusterCharter?
    /// How long the certificates last that this node issues to nodes of its cluster.
    var nodeCertificateSeconds: Double = 86_400
    public var logLevel = Logger.Level.info
    static let nodeCertificateRange = 60...86_400

    /// What of a cluster a process is.
    public enum Role: Sendable {
        case node
        /// The authority that `publisher.authority` names.
        case authority
    }

    /// Whether this node may sequence the cluster's ledger.
    public var mayPublish: Bool { publisher.candidates.contains(node.name) }
    /// The node on which the cluster's decisions about trust are taken.
    public var home: String { publisher.candidates[0] }
    public var isHome: Bool { home == node.name }
}

/// A configuration file that can't be used: the file, the field and what to do.
public struct ConfigurationError: Error, CustomStringConvertible {
    public let file: String
    public let message: String
    public var description: String { "\(file): \(message)" }

    init(_ file: String, _ message: String) {
        self.file = file
        self.message = message
    }
}

extension AgentConfiguration {
    static let maximumFileBytes = 1 << 20

    /// A file alone.
    ///
    /// - Throws: see ``init(_:)``.
    public init(file: String) throws { try self.init(ConfigurationLayers(file: file)) }

    /// - Throws: ``ConfigurationError``: the agent doesn't start, or goes on with what it has.
    public init(_ layers: ConfigurationLayers, as role: Role = .node) throws {
        if let problem = layers.problems.first { throw problem }
        do {
            try self.init(decoding: layers.root, file: layers.file, as: role)
        } catch let error as ConfigurationError {
            throw layers.located(error)
        }
    }

    private init(decoding node: Node, file: String, as role: Role) throws {
        let raw: RawConfiguration = try decodeYAML(file: file) {
            try $0.decode(from: node)
        }
        func fail(_ message: String) -> ConfigurationError { ConfigurationError(file, message) }

        guard isSubdomain(raw.mesh) else {
            throw fail("mesh: '\(raw.mesh)' is not a DNS name")
        }
        guard let clusterName = ClusterName(rawValue: raw.cluster.name) else {
            throw fail(
                "cluster.name: '\(raw.cluster.name)' must be 1 to 32 characters of a-z, 0-9 and -")
        }
        guard let cluster = UInt16(exactly: raw.cluster.id).flatMap(ClusterID.init) else {
            throw fail("cluster.id: \(raw.cluster.id) must be 1 to \(ClusterID.maximum)")
        }
        let name = role == .authority ? raw.publisher.authority : raw.node.name
        guard let name else { throw fail("publisher.authority is missing; --authority needs it") }
        guard let node = NodeID(cluster: cluster, name: name) else {
            throw fail("node.name: '\(name)' is not a DNS name")
        }
        guard let underlay = Address(raw.underlay.address) else {
            throw fail("underlay.address: '\(raw.underlay.address)' is not an IP address")
        }
        let listsNodes = raw.nodes != nil
        let own =
            role == .authority
            ? [] : [RawConfiguration.Member(name: raw.node.name, address: raw.underlay.address)]
        guard listsNodes || raw.kubernetes != nil else {
            throw fail("nodes is missing; add it, or kubernetes, whose API server has them")
        }
        let members = try (raw.nodes ?? own).map { member in
            guard let address = Address(member.address), isSubdomain(member.name) else {
                throw fail(
                    "nodes: '\(member.name)' at '\(member.address)' needs a DNS name and an IP address"
                )
            }
            return Member(name: member.name, address: address)
        }.sorted { $0.name < $1.name }
        guard Set(members.map(\.name)).count == members.count,
            Set(members.map(\.address)).count == members.count
        else { throw fail("nodes: a name or an address is listed twice") }
        guard role == .authority || members.contains(where: { $0.name == node.name }) else {
            throw fail("nodes: this node, '\(node.name)', is not listed; add it with its address")
        }
        let publisher: PublisherConfiguration
        do throws(PublisherConfiguration.Problem) {
            publisher = try PublisherConfiguration(
                raw.publisher, etcd: raw.etcd, hasKubernetes: raw.kubernetes != nil,
                store: raw.store, members: raw.nodes.map { Set($0.map(\.name)) })
        } catch {
            throw fail(error.message)
        }
        guard !publisher.isApart || raw.charter != nil else {
            throw fail(
                "charter.podPrefixes is missing; publisher.authority needs it, for nodes get certificates before they can say what they have"
            )
        }
        guard let imports = Imports(rawValue: raw.imports ?? Imports.everything.rawValue) else {
            throw fail("imports: '\(raw.imports ?? "")' must be everything or needed")
        }
        let identityLabels: IdentityLabels
        do throws(NamePatterns.Fault) {
            identityLabels =
                try raw.identityLabels.map { patterns throws(NamePatterns.Fault) in
                    try IdentityLabels(
                        include: patterns.include ?? [], exclude: patterns.exclude ?? [])
                } ?? .standard
        } catch {
            throw fail("identityLabels: \(error)")
        }
        guard raw.podPrefixes != nil || raw.kubernetes != nil else {
            throw fail("podPrefixes is missing; add it, or kubernetes, whose API server has it")
        }
        let prefixes = try (raw.podPrefixes ?? []).map { text in
            guard let prefix = Prefix(text) else {
                throw fail("podPrefixes: '\(text)' is not a prefix such as 10.1.0.0/24")
            }
            return prefix
        }
        for (name, port) in [
            ("state", raw.ports?.state), ("health", raw.ports?.health), ("vxlan", raw.ports?.vxlan),
            ("enrolment", raw.ports?.enrolment),
        ] where port == 0 {
            throw fail("ports.\(name): 0 must be 1 to 65535")
        }
        let ports = Ports(
            state: raw.ports?.state ?? Ports().state, health: raw.ports?.health ?? Ports().health,
            vxlan: raw.ports?.vxlan ?? Ports().vxlan,
            enrolment: raw.ports?.enrolment ?? Ports().enrolment)
        guard ports.state != ports.enrolment else {
            throw fail(
                "ports.enrolment: \(ports.enrolment) is the TCP port of state too; change one")
        }
        guard ports.health != ports.vxlan else {
            throw fail("ports.vxlan: \(ports.vxlan) is the UDP port of health too; change one")
        }
        for (name, path) in raw.paths.all where !path.hasPrefix("/") {
            throw fail("paths.\(name): '\(path)' must begin with /")
        }
        for (index, prefix) in prefixes.enumerated() {
            if let other = prefixes[..<index].first(where: { $0.overlaps(prefix) }) {
                throw fail("podPrefixes: \(prefix) overlaps \(other)")
            }
        }

        let pagePort = raw.pagePort ?? Self.defaultPagePort
        guard pagePort == 0 || pagePort != raw.metricsPort else {
            throw fail("pagePort: \(pagePort) is the port of the metrics too; change one, or say 0")
        }
        let wanted = raw.health?.profile ?? HealthProfile.default.rawValue
        guard let profile = HealthProfile(rawValue: wanted) else {
            throw fail("health.profile: '\(wanted)' must be default, fast or frugal")
        }
        if let file = raw.capacity?.file, !file.hasPrefix("/") {
            throw fail("capacity.file: '\(file)' must begin with /")
        }
        let lifetime =
            raw.certificates?.nodeSeconds ?? Self.nodeCertificateRange.upperBound
        guard Self.nodeCertificateRange.contains(lifetime) else {
            throw fail(
                "certificates.nodeSeconds: \(lifetime) must be \(Self.nodeCertificateRange.lowerBound) to \(Self.nodeCertificateRange.upperBound)"
            )
        }
        let level = raw.logLevel ?? Logger.Level.info.rawValue
        guard let logLevel = Logger.Level(rawValue: level) else {
            throw fail(
                "logLevel: '\(level)' must be trace, debug, info, notice, warning or error")
        }
        self.init(
            mesh: raw.mesh, clusterName: clusterName, cluster: cluster, node: node,
            zone: raw.node.zone ?? "", publisher: publisher, members: members,
            listsNodes: listsNodes, underlay: underlay, underlayInterface: raw.underlay.interface,
            podPrefixes: role == .authority ? [] : prefixes,
            ports: ports,
            paths: Paths(
                state: raw.paths.state, bpf: raw.paths.bpf, cgroup: raw.paths.cgroup,
                run: raw.paths.run, manifests: raw.paths.manifests, peers: raw.paths.peers,
                trust: raw.paths.trust),
            healthProfile: profile, capacityFile: raw.capacity?.file,
            flowEvents: raw.flowEvents ?? true, metricsPort: raw.metricsPort,
            pagePort: pagePort == 0 ? nil : pagePort,
            metrics: try MetricsSettings(raw.metrics, file: file),
            imports: imports,
            kubernetes: try raw.kubernetes.map { raw throws(ConfigurationError) in
                try KubernetesSettings(
                    raw, node: node.name, listsNodes: listsNodes, file: file)
            },
            join: try raw.join.map { join throws(ConfigurationError) in
                try JoinSettings(join, hasKubernetes: raw.kubernetes != nil, file: file)
            }, policy: try PolicySettings(raw.policy, file: file),
            identityLabels: identityLabels,
            charter: try raw.charter.map { raw throws(ConfigurationError) in
                try ClusterCharter(raw, file: file)
            }, nodeCertificateSeconds: Double(lifetime), logLevel: logLevel)
    }
}

private struct RawConfiguration: Decodable {
    struct Cluster: Decodable {
        let name: String
        let id: Int
    }
    struct Node: Decodable {
        let name: String
        let zone: String?
    }
    struct Member: Decodable {
        let name: String
        let address: String
    }
    struct Underlay: Decodable {
        let address: String
        let interface: String?
    }
    struct Ports: Decodable {
        let state: UInt16?
        let health: UInt16?
        let vxlan: UInt16?
        let enrolment: UInt16?
    }
    struct Paths: Decodable {
        let state: String
        let bpf: String
        let cgroup: String
        let run: String
        let manifests: String
        let peers: String
        let trust: String

        var all: KeyValuePairs<String, String> {
            [
                "state": state, "bpf": bpf, "cgroup": cgroup, "run": run, "manifests": manifests,
                "peers": peers, "trust": trust,
            ]
        }
    }
    struct Health: Decodable {
        let profile: String?
    }
    struct Capacity: Decodable {
        let file: String
    }
    struct Certificates: Decodable {
        let nodeSeconds: Int?
    }
    struct IdentityPatterns: Decodable {
        let include: [String]?
        let exclude: [String]?
    }

    let mesh: String
    let cluster: Cluster
    let node: Node
    let publisher: RawPublisher
    let etcd: RawEtcd?
    let store: String?
    let imports: String?
    let kubernetes: RawKubernetesSettings?
    let join: RawJoinSettings?
    let policy: RawPolicySettings?
    let identityLabels: IdentityPatterns?
    let charter: RawCharter?
    let nodes: [Member]?
    let underlay: Underlay
    let podPrefixes: [String]?
    let ports: Ports?
    let paths: Paths
    let health: Health?
    let capacity: Capacity?
    let certificates: Certificates?
    let flowEvents: Bool?
    let metricsPort: UInt16?
    let pagePort: UInt16?
    let logLevel: String?
    let metrics: RawMetricsSettings?
}

/// A file that the configuration is, or that it names.
func readSetting(_ file: String, bytesMaximum: Int) throws(ConfigurationError) -> [UInt8] {
    do throws(InputFile.Problem) {
        return try InputFile.read(file, bytesMaximum: bytesMaximum)
    } catch {
        let reason = error.errno == 0 ? error.reason : "can't be read: \(error.reason)"
        throw ConfigurationError(file, reason)
    }
}

/// Reads a YAML file of at most ``AgentConfiguration/maximumFileBytes``.
func decodeYAML<Value: Decodable>(_: Value.Type, file: String) throws -> Value {
    let data = Data(try readSetting(file, bytesMaximum: AgentConfiguration.maximumFileBytes))
    return try decodeYAML(file: file) { try $0.decode(from: data) }
}

private func decodeYAML<Value>(
    file: String, _ decode: (YAMLDecoder) throws -> Value
) throws -> Value {
    do {
        return try decode(YAMLDecoder())
    } catch let error as DecodingError {
        throw ConfigurationError(file, describe(error))
    } catch {
        throw ConfigurationError(file, "is not YAML: \(error)")
    }
}

private func describe(_ error: DecodingError) -> String {
    func path(_ context: DecodingError.Context) -> String {
        context.codingPath.map(\.stringValue).joined(separator: ".")
    }
    switch error {
    case .keyNotFound(let key, let context):
        let prefix = path(context)
        return "\(prefix.isEmpty ? "" : prefix + ".")\(key.stringValue) is missing; add it"
    case .dataCorrupted(let context) where context.underlyingError is YamlError:
        return "is not YAML: \(context.underlyingError.map { "\($0)" } ?? "")"
    case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .dataCorrupted(let context):
        let field = path(context)
        return "\(field.isEmpty ? "the file" : field): \(context.debugDescription)"
    @unknown default:
        return "\(error)"
    }
}
