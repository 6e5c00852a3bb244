// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshReachability
import MeshStore
import MeshTransport
import Testing

@testable import MeshAgent

@Suite("The core of an authority that is no node")
struct ApartCoreTests {
    private var core: StateCore
    private var effects: [StateEffect] = []
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        let text = rightConfiguration.replacing(
            "publisher: b",
            with: """
                publisher: {authority: home, lease: kubernetes}
                charter: {podPrefixes: [10.1.0.0/16]}
                kubernetes: {inCluster: true}
                """)
        let configuration = try AgentConfiguration(
            ConfigurationLayers(file: folder.write("weft.yaml", text)), as: .authority)
        core = StateCore(
            configuration: configuration, peers: [], store: MeshStore(), authorities: [:],
            candidacy: nil, drain: .never, wasUp: [], now: .zero + .seconds(1), into: &effects)
    }

    @Test("dials every node, whatever it is called, and says nothing of a node of its own")
    mutating func links() {
        #expect(core.configuration.node.name == "home" && core.configuration.podPrefixes.isEmpty)
        #expect(core.linkTargets.map(\.node) == ["a", "b"])
        core.trustRecords = [RecordKey(kind: .receipt, name: "home"): [1]]
        core.setOwn(
            folder: FolderSnapshot(), endpoints: [:], at: .zero + .seconds(1), realTime: 0,
            into: &effects)
        #expect(core.book.values(of: "home").keys.map(\.kind) == [.receipt])
        #expect(!core.isAlone, "there is a node that may know more")
    }

    @Test("holds for dead who was out of reach for longer than a restart takes, and nobody before")
    mutating func judges() throws {
        func at(_ seconds: Double) -> Instant { .zero + .seconds(seconds) }
        func dead() -> [String] { ["a", "b"].filter(core.relayKeeper.isDead) }
        let link = LinkID(rawValue: 7)
        core.linkUp(
            link, to: try #require(NodeID(cluster: core.configuration.cluster, name: "a")),
            into: &effects)
        core.judgeByLinks(at: at(2), into: &effects)
        core.judgeByLinks(at: at(4.9), into: &effects)
        #expect(dead() == [])
        core.judgeByLinks(at: at(5.1), into: &effects)
        #expect(dead() == ["b"], "never reached")
        core.judgeByLinks(at: at(10), into: &effects)
        core.linkDown(link, into: &effects)
        core.judgeByLinks(at: at(13.9), into: &effects)
        #expect(dead() == ["b"])
        core.judgeByLinks(at: at(14.1), into: &effects)
        #expect(dead() == ["a", "b"])
        core.linkUp(
            LinkID(rawValue: 8),
            to: try #require(NodeID(cluster: core.configuration.cluster, name: "a")),
            into: &effects)
        core.judgeByLinks(at: at(14.2), into: &effects)
        #expect(dead() == ["b"])
    }
}
