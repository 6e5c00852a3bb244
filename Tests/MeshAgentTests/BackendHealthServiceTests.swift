// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshDatapath
import MeshModel
import MeshReachability
import MeshReconciler
import MeshStore
import Testing

@testable import MeshAgent

@Suite("The service that judges backends")
struct BackendHealthServiceTests {
    private static let backends = (1...4).map {
        Backend(
            address: Address("10.2.0.\($0)")!, port: 8080,
            node: NodeID(cluster: cluster(2), name: "n\($0)")!)
    }
    private static let frontendKey = FrontendKey(
        address: Address("10.96.0.1")!, port: 80, transport: .tcp)

    private static func key(_ index: Int) -> BackendKey {
        BackendKey(address: backends[index].address, port: 8080, transport: .tcp)
    }

    /// A node with one service of four backends.
    private struct Fixture {
        let store = MeshStore()
        let datapath: MemoryDatapath
        let service: BackendHealthService
        var reconciler: Reconciler<FrontendTarget>

        init(nodes: [String] = ["n1", "n2", "n3", "n4"]) throws {
            let backends = zip(BackendHealthServiceTests.backends, nodes).map {
                Backend(
                    address: $0.address, port: 8080, node: NodeID(cluster: cluster(2), name: $1)!)
            }
            let frontend = ServiceFrontend(
                key: BackendHealthServiceTests.frontendKey,
                service: ObjectName(namespace: "default", name: "web"), portName: "",
                isGlobal: true, sessionAffinitySeconds: 0,
                slices: [
                    ClusterSlice(cluster: cluster(2), tier: 0, weight: 255, backends: backends)
                ])
            datapath = try MemoryDatapath(node: own)
            service = BackendHealthService(
                own: own, store: store, datapath: datapath, log: Logger(label: "test")
            ) { requests in requests.map { _ in .impossible } }
            reconciler = Reconciler(FrontendTarget(datapath, store), table: \.frontends)
            store.write { tables in
                _ = tables.frontends.upsert(frontend)
                tables.frontends.declareComplete()
            }
            _ = reconciler.pass(store, now: .zero)
        }

        /// Another process on the same kernel, with empty tables.
        init(after former: Fixture) {
            datapath = former.datapath
            service = BackendHealthService(
                own: own, store: store, datapath: datapath, log: Logger(label: "test")
            ) { requests in requests.map { _ in .impossible } }
            reconciler = Reconciler(FrontendTarget(datapath, store), table: \.frontends)
        }

        func refuse(_ index: Int, times: UInt32, at now: Instant) throws {
            var evidence = BackendEvidence(
                backend: BackendHealthServiceTests.key(index),
                node: BackendHealthServiceTests.backends[index].node, interface: 3)
            evidence.refused = .init(times, last: now)
            evidence.failedOpenings = times
            try datapath.note(evidence)
        }

        func silence(_ index: Int, times: UInt32, at now: Instant, node: String) throws {
            var evidence = BackendEvidence(
                backend: BackendHealthServiceTests.key(index),
                node: NodeID(cluster: cluster(2), name: node), interface: 3)
            evidence.silent = .init(times, last: now)
            evidence.failedOpenings = times
            try datapath.note(evidence)
        }

        mutating func published() -> [Address] {
            _ = reconciler.pass(store, now: .zero)
            return datapath.service(BackendHealthServiceTests.frontendKey)?.slices
                .flatMap(\.backends).map(\.address) ?? []
        }
    }

    @Test("a refused backend leaves the kernel's slice, probes find it alive, and it is back")
    func quarantine() async throws {
        var fixture = try Fixture()
        var now = Instant(nanoseconds: 1_000_000_000_000)
        #expect(await fixture.service.step(at: now).isEmpty)
        try fixture.refuse(1, times: 3, at: now)
        now = now + .milliseconds(250)
        #expect(await fixture.service.step(at: now).isEmpty)
        #expect(fixture.published() == [0, 2, 3].map { Self.backends[$0].address })
        let row = try #require(fixture.store.snapshot().quarantines[Self.key(1)])
        #expect(row.since == now && row.reason.hasPrefix("3 failures"))

        for outcome in [ProbeOutcome.refused, .answered, .answered] {
            now = now + .seconds(2)
            let probes = await fixture.service.step(at: now)
            #expect(probes == [ProbeRequest(backend: Self.key(1), interface: 3)])
            #expect(await fixture.service.step(at: now).isEmpty, "one at a time")
            #expect(fixture.published().count == 3)
            await fixture.service.finish(probes, [outcome], at: now)
        }
        #expect(fixture.published().count == 4)
        #expect(fixture.store.snapshot().quarantines.isEmpty)
        let counts = await fixture.service.counts
        #expect(counts.quarantined == [.refused: 1] && counts.released == [.answered: 1])
        #expect(counts.probes == [.refused: 1, .answered: 2])
    }

    @Test("the agent after it leaves out what it had left out, before the services are known again")
    func restart() async throws {
        var fixture = try Fixture()
        let now = Instant(nanoseconds: 1_000_000_000_000)
        _ = await fixture.service.step(at: now)
        try fixture.refuse(1, times: 3, at: now)
        _ = await fixture.service.step(at: now + .milliseconds(250))
        #expect(fixture.published().count == 3)

        let rows = fixture.store.snapshot().frontends.rows
        var heir = Fixture(after: fixture)
        await heir.service.restore(at: now + .seconds(1))
        _ = await heir.service.step(at: now + .milliseconds(1250))
        for row in rows { heir.store.write { _ = $0.frontends.upsert(row) } }
        heir.store.write { $0.frontends.declareComplete() }
        #expect(heir.published().count == 3)
        let probes = await heir.service.step(at: now + .seconds(3))
        #expect(probes.map(\.backend) == [Self.key(1)])
    }

    @Test(
        "one whose cluster or node is dead already is left to that verdict",
        arguments: [true, false])
    func deadPlace(isCluster: Bool) async throws {
        var fixture = try Fixture()
        let now = Instant(nanoseconds: 1_000_000_000_000)
        let dead = LivenessWord(verdict: .unreachable, weight: 0, generation: 1)
        if isCluster {
            fixture.datapath.setCluster(cluster(2), dead)
        } else {
            fixture.datapath.setNode(Self.backends[1].node, dead)
        }
        _ = await fixture.service.step(at: now)
        try fixture.refuse(1, times: 3, at: now)
        _ = await fixture.service.step(at: now + .milliseconds(250))
        #expect(fixture.published().count == 4)
    }

    @Test("silence of a node's backends is told to whoever judges nodes")
    func suspicion() async throws {
        let fixture = try Fixture(nodes: ["x", "x", "y", "y"])
        let now = Instant(nanoseconds: 1_000_000_000_000)
        _ = await fixture.service.step(at: now)
        for index in 0..<2 { try fixture.silence(index, times: 4, at: now, node: "x") }
        _ = await fixture.service.step(at: now + .milliseconds(250))
        var suspicions = fixture.service.suspicions.makeAsyncIterator()
        let told = await suspicions.next()
        #expect(told?.subject == .node(NodeID(cluster: cluster(2), name: "x")!))
        #expect(await fixture.service.standing.count == 1)
        #expect(fixture.store.snapshot().quarantines.isEmpty)
    }
}
