// SPDX-License-Identifier: Apache-2.0

/// One thing that a node's configuration says.
public struct Setting: Sendable {
    enum Kind: Sendable {
        /// As it stands, also where YAML would see a number.
        case text
        /// YAML: a number, a list, true or false.
        case value
    }

    /// Names from the outermost mapping on, with dots: `ports.state`.
    public let key: String
    let kind: Kind
    /// What holds when nobody says it, as it would be written; nil: it has to be said, or nothing does.
    public let standard: String?
    /// Whether a running agent takes up another value.
    public let isLive: Bool
    public let help: String

    private init(
        _ key: String, as kind: Kind = .text, else standard: String? = nil, isLive: Bool = false,
        _ help: String
    ) {
        self.key = key
        self.kind = kind
        self.standard = standard
        self.isLive = isLive
        self.help = help
    }

    /// Of the environment: `WEFT_PORTS_STATE`.
    public var variable: String {
        var name = Self.variablePrefix
        for character in key {
            if character.isUppercase { name.append("_") }
            name.append(character == "." ? "_" : Character(character.uppercased()))
        }
        return name
    }

    static let variablePrefix = "WEFT_"

    static func named(_ key: String) -> Setting? { byKey[key] }
    private static let byKey = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })

    /// All there are, in the order in which they are shown.
    public static let all: [Setting] = [
        Setting("mesh", "The mesh's name, the same in every cluster: a DNS name."),
        Setting("cluster.name", "This cluster's name: 1 to 32 characters of a-z, 0-9 and '-'."),
        Setting("cluster.id", as: .value, "This cluster's number, 1 to 4095, its own in the mesh."),
        Setting("node.name", "This node's name, as 'nodes' lists it."),
        Setting(
            "node.zone", else: "''",
            "Where it is; relays are taken from different zones."),
        Setting(
            "nodes", as: .value, isLive: true,
            "Every node of the cluster, this one included: {name: NAME, address: UNDERLAY}; without: as the API server has them."
        ),
        Setting(
            "publisher", "The one node that publishes and holds the authority; or, as a mapping:"),
        Setting(
            "publisher.candidates", as: .value,
            "Nodes that may publish; the first is the cluster's home."),
        Setting(
            "publisher.authority",
            "Instead: the name of an authority that is no node, 'weftd --authority'; needs lease: kubernetes."
        ),
        Setting(
            "publisher.lease", else: "fixed",
            "How candidates agree: fixed (one), etcd or kubernetes."
        ),
        Setting("etcd.endpoints", as: .value, "host:port of each member."),
        Setting("etcd.bundle", "PEM file of the authorities of etcd's servers."),
        Setting("etcd.certificate", "PEM file of this node's certificate for etcd."),
        Setting("etcd.key", "PEM file of that certificate's key."),
        Setting(
            "store", else: "embedded",
            "Where the cluster's nodes read its ledger: embedded (from each other) or etcd."),
        Setting(
            "kubernetes.inCluster", as: .value,
            "true: objects come from the API server of the pod that the agent runs in."),
        Setting(
            "kubernetes.serviceAccountFolder",
            else: "/var/run/secrets/kubernetes.io/serviceaccount",
            "Where token, ca.crt and namespace are, for that."),
        Setting(
            "kubernetes.kubeconfig",
            "Otherwise: a file that names an API server, and how to authenticate there."),
        Setting(
            "kubernetes.apiServer",
            "https://host:port of the API server instead of what those two say."),
        Setting(
            "kubernetes.nodeName", "What the API server calls this node; without: node.name."),
        Setting(
            "join.token",
            "A projected service account's token for the audience weft, by which this node gets its first certificate."
        ),
        Setting(
            "join.bundle",
            "PEM file of the cluster's roots, for that: the authority has to prove one."),
        Setting(
            "join.addresses", as: .value, "address:port of where the authority may be, for that."),
        Setting(
            "join.service",
            "namespace/name of a Service whose EndpointSlices say where it may be, for that."),
        Setting(
            "join.serviceAccount",
            "namespace:name of the service account whose tokens the authority takes for that."),
        Setting(
            "imports", else: "everything",
            "What is taken of other clusters: everything, or needed: only services of namespaces that this cluster has services in."
        ),
        Setting("underlay.address", "This node's address for other nodes."),
        Setting("underlay.interface", "The interface that has it; without: the first that does."),
        Setting(
            "podPrefixes", as: .value,
            "Prefixes of this node's pods; without: as its Node object has them."),
        Setting("ports.state", as: .value, else: "4790", "TCP: streams between nodes."),
        Setting("ports.health", as: .value, else: "4791", "UDP: heartbeats."),
        Setting("ports.vxlan", as: .value, else: "8472", "UDP: the overlay."),
        Setting("ports.enrolment", as: .value, else: "4792", "TCP: joins, on the home."),
        Setting("paths.state", "What survives a restart: addresses in use, ledgers, the lease."),
        Setting("paths.bpf", "A folder in a bpffs, for this node's programs and maps."),
        Setting("paths.cgroup", "The cgroup v2 folder whose processes reach services by address."),
        Setting("paths.run", "Where the agent's sockets are."),
        Setting("paths.manifests", "Kubernetes manifests of this cluster."),
        Setting("paths.peers", "One file for each other cluster."),
        Setting("paths.trust", "Certificates and keys; on candidates also the authority."),
        Setting(
            "health.profile", else: "default",
            "How soon silence counts: default, fast or frugal."),
        Setting(
            "capacity.file", isLive: true,
            "Two numbers, what this node can do and what of it is used; without: its processors."),
        Setting(
            "policy.scope", else: "localCluster",
            "Whom selectors without a cluster mean: localCluster or allClusters."),
        Setting(
            "policy.denied", else: "drop",
            "What the sender of a denied packet gets: drop or reject."),
        Setting(
            "policy.openFlows", else: "renew", isLive: true,
            "What becomes of open connections when policies change: renew or keep."),
        Setting("identityLabels.include", as: .value, "Patterns of labels that make identities."),
        Setting("identityLabels.exclude", as: .value, "Patterns of labels that don't."),
        Setting(
            "charter.podPrefixes", as: .value, isLive: true,
            "What this cluster asks others to let it announce; without: its nodes' prefixes. On the home."
        ),
        Setting("charter.serviceCIDRs", as: .value, isLive: true, "Service addresses, likewise."),
        Setting(
            "charter.namespaces", as: .value, isLive: true,
            "Namespaces, likewise: ['*', '!kube-*']."),
        Setting("charter.quota.endpoints", as: .value, isLive: true, "How many, likewise."),
        Setting("charter.quota.services", as: .value, isLive: true, "How many, likewise."),
        Setting("charter.quota.records", as: .value, isLive: true, "How many, likewise."),
        Setting("charter.quota.valueBytes", as: .value, isLive: true, "Of one record, likewise."),
        Setting("charter.quota.recordsPerSecond", as: .value, isLive: true, "Changes, likewise."),
        Setting("charter.quota.burst", as: .value, isLive: true, "Changes at once, likewise."),
        Setting(
            "certificates.nodeSeconds", as: .value, else: "86400", isLive: true,
            "How long certificates last that this node issues to nodes: 60 to 86400."),
        Setting(
            "flowEvents", as: .value, else: "true", "Whether 'weft flows' has something to show."),
        Setting(
            "metricsPort", as: .value, "Port of the metrics on 127.0.0.1; without: none are served."
        ),
        Setting(
            "metrics.compatibility", else: "none",
            "Whether another system's series are exported, too: none or cilium."),
        Setting(
            "pagePort", as: .value, else: "4793",
            "Port of the page for browsers on 127.0.0.1; 0: none is served."),
        Setting(
            "logLevel", else: "info", isLive: true,
            "What is worth a line: trace, debug, info, notice, warning or error."),
    ]
}
