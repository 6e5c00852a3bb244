// SPDX-License-Identifier: Apache-2.0

/// Everything on the page but services and news: `GET /v1/page`. Bounded, whatever the mesh's size:
/// what is left out is counted.
public struct PageState: Codable, Hashable, Sendable {
    public static let clustersMaximum = 512
    public static let pathsMaximum = 16
    public static let sentencesMaximum = 32
    public static let trafficMaximum = 128

    /// Without its links, peers and rejections.
    public var agent: AgentStatus
    /// Those in trouble first where there are too many.
    public var clusters: [ClusterStatus]
    public var clustersTotal: Int
    public var drops: [DropCount]
    /// Nil where flow events are off.
    public var traffic: [TrafficCount]?
    public var trafficTotal: Int

    init(
        agent: AgentStatus, clusters: [ClusterStatus], drops: [DropCount],
        traffic: [TrafficCount]?
    ) {
        self.agent = agent.bounded
        var shown = clusters
        if clusters.count > Self.clustersMaximum {
            shown = clusters.filter { $0.isLocal } + clusters.filter { !$0.isLocal && !$0.isFine }
            shown += clusters.filter { !$0.isLocal && $0.isFine }
        }
        self.clusters = shown.prefix(Self.clustersMaximum).map(\.bounded)
        clustersTotal = clusters.count
        self.drops = drops.filter { $0.packets > 0 }
        self.traffic = traffic.map { Array($0.prefix(Self.trafficMaximum)) }
        trafficTotal = traffic?.count ?? 0
    }
}

extension ClusterStatus {
    fileprivate var isFine: Bool { verdict == .up }

    fileprivate var bounded: ClusterStatus {
        var cluster = self
        cluster.paths = Array(paths.prefix(PageState.pathsMaximum))
        return cluster
    }
}

extension AgentStatus {
    fileprivate var bounded: AgentStatus {
        var agent = self
        agent.health.reasons = atMost(PageState.sentencesMaximum, of: health.reasons)
        agent.warnings = atMost(PageState.sentencesMaximum, of: warnings)
        agent.manifestProblems = Array(manifestProblems.prefix(PageState.sentencesMaximum))
        agent.ledgers = Array(ledgers.prefix(PageState.clustersMaximum))
        agent.ignoredKinds = Array(ignoredKinds.prefix(PageState.sentencesMaximum))
        agent.links = []
        agent.peers = []
        agent.rejections = []
        return agent
    }

    private func atMost(_ count: Int, of sentences: [String]) -> [String] {
        guard sentences.count > count else { return sentences }
        return sentences.prefix(count) + ["and \(sentences.count - count) more"]
    }
}

/// Services whose `namespace/name` contains what was asked for: `GET /v1/page/services?find=TEXT`.
public struct PageServices: Codable, Hashable, Sendable {
    public static let servicesMaximum = 60
    /// Of one service in one cluster.
    public static let backendsMaximum = 8
    /// Of all services together.
    public static let slicesMaximum = 1_000

    public struct Slice: Codable, Hashable, Sendable {
        /// With the first few backends.
        public var slice: SliceStatus
        public var backends: Int
        public var live: Int
    }

    public struct Service: Codable, Hashable, Sendable {
        /// Without its slices.
        public var service: ServiceStatus
        public var slices: [Slice]
        public var slicesTotal: Int
    }

    /// Those that don't work first.
    public var services: [Service]
    public var matching: Int
    public var total: Int

    init(_ all: [ServiceStatus], find text: String) {
        let matches =
            text.isEmpty ? all : all.filter { "\($0.namespace)/\($0.name)".contains(text) }
        var slicesLeft = Self.slicesMaximum
        services = (matches.filter(\.isInTrouble) + matches.filter { !$0.isInTrouble })
            .prefix(Self.servicesMaximum).map { status in
                var bare = status
                bare.slices = []
                let slices = status.slices.prefix(slicesLeft).map(Slice.init)
                slicesLeft -= slices.count
                return Service(service: bare, slices: slices, slicesTotal: status.slices.count)
            }
        matching = matches.count
        total = all.count
    }
}

extension PageServices.Slice {
    fileprivate init(_ status: SliceStatus) {
        slice = status
        slice.backends = Array(status.backends.prefix(PageServices.backendsMaximum))
        backends = status.backends.count
        live = status.isLive ? status.backends.count(where: \.takesFlows) : 0
    }
}

extension BackendStatus {
    fileprivate var takesFlows: Bool { isLive && quarantine == nil }
}

extension ServiceStatus {
    fileprivate var isInTrouble: Bool {
        state == .error
            || !slices.contains { $0.isLive && $0.backends.contains(where: \.takesFlows) }
    }
}
