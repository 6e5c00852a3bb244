// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshAdmin

/// A mesh of three clusters with a global service, as node east/n1 sees it while all is well. What a
/// test breaks it breaks in a copy.
struct FlowFixture {
    var clusters: [ClusterStatus]
    var nodes: [NodeStatus]
    var source = FlowStory.End(
        kind: .endpoint, name: "shop/client", cluster: "east", node: "n1", isHere: true,
        addresses: ["10.1.1.5", "fd00:1:1::5"], identity: 1 << 20 | 256, labels: ["app": "client"])
    var service = ServiceStatus(
        namespace: "shop", name: "web", portName: "http", address: "10.96.0.7", port: 80,
        transport: "TCP", isGlobal: true, affinity: .local, sessionAffinitySeconds: 0, state: .done,
        slices: [])
    var destination = FlowStory.End(
        kind: .service, name: "shop/web", cluster: "east", addresses: ["10.96.0.7"])
    var traffic = WhyQuestion.Traffic.port(transport: "TCP", number: 80)
    /// By the candidate's address; others are allowed.
    var denied: [String: (stage: FlowStory.Stage, reason: String)] = [:]
    var isAudited = false
    var refused: [Flow] = []
    var hearsay: [String: String] = [:]
    var sides: [FlowStory.Side] = []
    var problems: [String: String] = [:]
    static let now: Int64 = 1_795_000_000_000

    init() {
        let names = ["east", "west", "south"]
        clusters = names.enumerated().map { index, name in
            ClusterStatus(
                name: name, id: UInt16(index + 1), isLocal: index == 0, verdict: .up,
                sinceSeconds: 3600, weight: 255, generation: 1,
                paths: index == 0
                    ? []
                    : [
                        PathStatus(
                            localRelay: "n1", remoteNode: "n1", state: .up, rttMilliseconds: 0.4,
                            lastBeatSeconds: 0.15)
                    ], epoch: 1, revision: 7, nodes: 2, services: 1, endpoints: 3)
        }
        nodes = names.enumerated().flatMap { index, name in
            (1...2).map { number in
                NodeStatus(
                    cluster: ClusterReference(name: name, id: UInt16(index + 1)),
                    name: "n\(number)", isLocal: index == 0 && number == 1, isRelay: true,
                    verdict: .up, sinceSeconds: 3600, weight: 255, generation: 1,
                    index: UInt32(index * 2 + number - 1),
                    outerAddresses: ["192.0.2.\(index * 10 + number)"],
                    podPrefixes: ["10.\(index + 1).\(number).0/24"], endpoints: 2)
            }
        }
        service.slices = [
            slice(0, tier: 0, ["10.1.1.8", "10.1.2.8"]), slice(1, tier: 1, ["10.2.1.8"]),
            slice(2, tier: 1, ["10.3.1.8", "10.3.2.8"]),
        ]
    }

    private func slice(_ index: Int, tier: UInt8, _ addresses: [String]) -> SliceStatus {
        SliceStatus(
            cluster: ClusterReference(name: clusters[index].name, id: clusters[index].id),
            tier: tier, weight: 100, isLive: true,
            backends: addresses.map { address in
                // 10.CLUSTER.NODE.HOST
                let node = address.split(separator: ".")[2]
                return BackendStatus(
                    address: address, port: 8080, node: "n\(node)", isLive: true)
            })
    }

    mutating func set(cluster index: Int, _ verdict: VerdictName) {
        clusters[index].verdict = verdict
        clusters[index].sinceSeconds = 12
        clusters[index].weight = verdict == .up ? 255 : 0
        service.slices[index].isLive = verdict == .up
    }

    mutating func set(node number: Int, of cluster: Int, _ verdict: VerdictName) {
        let index = cluster * 2 + number - 1
        nodes[index].verdict = verdict
        nodes[index].sinceSeconds = 19
        nodes[index].weight = verdict == .up ? 255 : 0
        for backend in service.slices[cluster].backends.indices
        where service.slices[cluster].backends[backend].node == "n\(number)" {
            service.slices[cluster].backends[backend].isLive = verdict == .up
        }
    }

    /// The flow goes to an endpoint, or to nobody, instead of the service.
    mutating func aim(at address: String, name: String, cluster: String?, node: String?) {
        destination = FlowStory.End(
            kind: cluster == nil ? .other : .endpoint, name: name, cluster: cluster, node: node,
            addresses: [address])
        traffic = .port(transport: "TCP", number: 8080)
    }

    var story: FlowStory {
        var walk = FlowWalk(
            scene: FlowScene(
                cluster: "east", node: "n1", clusters: clusters, nodes: nodes, hearsay: hearsay,
                endpointMTU: 1450),
            source: source, destination: destination, traffic: traffic,
            frontend: destination.kind == .service ? service : nil)
        walk.sides = sides
        walk.problems = problems
        let traces = walk.candidates.map { candidate in
            func decision(_ stage: FlowStory.Stage) -> PolicyTraceAnswer.Decision {
                if let said = denied[candidate.address], said.stage == stage {
                    return .init(allows: false, reason: said.reason, isAudited: isAudited)
                }
                return .init(allows: true, reason: "allowed: no policy decides")
            }
            return PolicyTraceAnswer(
                source: .init(name: source.name), destination: .init(name: candidate.address),
                traffic: "\(traffic)", egress: decision(.egress), ingress: decision(.ingress),
                allows: true, notes: ["judged here"])
        }
        return walk.story(traces: traces, refused: refused, at: Self.now)
    }
}
