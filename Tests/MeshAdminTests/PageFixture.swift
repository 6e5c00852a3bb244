// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshAdmin

/// A mesh of a hundred clusters and what its page is told.
struct PageFixture: Sendable {
    /// What would become an element, or run, wherever it isn't kept as text.
    static let hostile = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>&amp;'\""

    var agent = AgentStatus.fixture
    var clusters: [ClusterStatus] = []
    var services: [ServiceStatus] = []
    var traffic: [TrafficCount]?
    var drops: [DropCount] = []
    var beliefs: [HealthStory.Event] = []
    var refusals: [Flow] = []

    static func mesh(_ count: Int = 100) -> PageFixture {
        var fixture = PageFixture()
        let other: [Int: VerdictName] = [
            7: .unreachable, 23: .suspect, 41: .probation, 66: .draining, 88: .unknown,
        ]
        fixture.clusters = (1...count).map { number in
            .numbered(UInt16(number), other[number] ?? .up)
        }
        fixture.clusters[9].name = hostile
        fixture.agent.cluster = ClusterReference(name: "c001", id: 1)
        fixture.agent.ledgers = fixture.clusters.map {
            LedgerStatus(
                cluster: ClusterReference(name: $0.name, id: $0.id), epoch: 1, revision: 9,
                ageSeconds: 0.4, records: 9, quarantined: 0, refused: 0, isFrozen: false)
        }
        fixture.services = [.fixture, .spread(over: fixture.clusters.prefix(8))]
        fixture.services[0].name = hostile
        fixture.traffic = fixture.clusters.prefix(12).map { cluster in
            TrafficCount(
                from: ClusterReference(name: "c001", id: 1),
                to: ClusterReference(name: cluster.name, id: cluster.id),
                opened: 90 * UInt64(cluster.id), closed: 80, packets: 5_000,
                bytes: 730_000 * UInt64(cluster.id), refused: UInt64(cluster.id / 4))
        }
        fixture.drops = [
            DropCount(
                label: "policy_denied", sentence: "a policy denies it", packets: 31, bytes: 2_000)
        ]
        fixture.beliefs = [
            .init(
                secondsAgo: 14, subject: "c007",
                text: "suspect → unreachable: of 3 paths 0 up; no new flows, open ones are reset"),
            .init(secondsAgo: 3, subject: hostile, text: "relay n1 hears \(hostile)"),
        ]
        var flow = Flow.fixture(1_900_000_000_000)
        flow.type = .denied
        flow.verdict = .denied
        flow.reason = "policy_denied"
        flow.policy = hostile
        fixture.refusals = [flow]
        return fixture
    }

    /// Nil for a cluster that isn't in the mesh.
    func story(of name: String) -> HealthStory? {
        guard let cluster = clusters.first(where: { $0.name == name }) else { return nil }
        return HealthStory(
            subject: name, verdict: cluster.verdict, sinceSeconds: cluster.sinceSeconds,
            weight: cluster.weight,
            hearsay: cluster.verdict == .unreachable ? "c002 doesn't hear it either" : nil,
            membership: nil, paths: cluster.paths,
            events: beliefs.filter { $0.subject == name })
    }

    func news(after position: PageNews.Position?) -> PageNews {
        let known = position.map { Int($0.beliefs) } ?? 0
        let refused = position.map { Int($0.refusals) } ?? 0
        return PageNews(
            position: .init(beliefs: UInt64(beliefs.count), refusals: UInt64(refusals.count)),
            beliefs: Array(beliefs.dropFirst(known)), beliefsLost: 0,
            refusals: Array(refusals.dropFirst(refused)), refusalsLost: 0)
    }

    mutating func change(_ index: Int, to verdict: VerdictName) {
        let former = clusters[index].verdict
        clusters[index] = .numbered(clusters[index].id, verdict)
        beliefs.append(
            .init(
                secondsAgo: 0, subject: clusters[index].name,
                text: "\(former.rawValue) → \(verdict.rawValue)"))
    }
}

extension ClusterStatus {
    static func numbered(_ number: UInt16, _ verdict: VerdictName) -> ClusterStatus {
        let isUp = verdict == .up
        let digits = "00\(number)".suffix(3)
        return ClusterStatus(
            name: "c\(digits)", id: number, isLocal: number == 1, verdict: verdict,
            sinceSeconds: isUp ? 4_000 + Double(number) : 14,
            weight: isUp ? 255 : verdict == .probation ? 90 : 0, generation: 1,
            paths: number == 1
                ? []
                : (1...3).map { relay in
                    PathStatus(
                        localRelay: "n\(relay)", remoteNode: "c\(digits)-\(relay)",
                        state: isUp || verdict == .draining ? .up : verdict,
                        rttMilliseconds: Double(number) * 1.7, lastBeatSeconds: 0.05)
                },
            epoch: 1, revision: UInt64(number) * 11, nodes: 3, services: 4,
            endpoints: Int(number) * 3)
    }
}

extension ServiceStatus {
    static func spread(over clusters: some Sequence<ClusterStatus>) -> ServiceStatus {
        var service = ServiceStatus.fixture
        service.name = "api"
        service.state = .done
        service.reason = nil
        service.slices = clusters.map { cluster in
            SliceStatus(
                cluster: ClusterReference(name: cluster.name, id: cluster.id),
                tier: cluster.isLocal ? 0 : 1, weight: 100, isLive: cluster.weight > 0,
                backends: (1...12).map { number in
                    BackendStatus(
                        address: "10.\(cluster.id).1.\(number)", port: 8080, node: "n\(number % 3)",
                        isLive: number != 5)
                })
        }
        return service
    }
}
