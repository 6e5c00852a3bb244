// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation
import Testing

@Suite("Quarantine's bounds")
struct BackendBoundsTests {
    /// Backends by cluster, how many of the first ones refuse, and how many may be taken out.
    struct Share: Sendable, CustomTestStringConvertible {
        let counts: [UInt16: Int]
        let refusing: Int
        let out: Int
        var testDescription: String {
            "\(refusing) of \(counts.sorted { $0.key < $1.key }.map(\.value)) refuse"
        }

        static let all = [
            Share(counts: [2: 1], refusing: 1, out: 0),
            Share(counts: [2: 2], refusing: 2, out: 1),
            Share(counts: [2: 3], refusing: 3, out: 1),
            Share(counts: [2: 4], refusing: 4, out: 2),
            Share(counts: [2: 10], refusing: 3, out: 3),
            Share(counts: [2: 10], refusing: 10, out: 5),
            Share(counts: [2: 1, 3: 1], refusing: 1, out: 1),
            Share(counts: [2: 4, 3: 4], refusing: 4, out: 2),
            Share(counts: [2: 1, 3: 1, 4: 1], refusing: 2, out: 1),
            Share(counts: [2: 1, 3: 1, 4: 1, 5: 1], refusing: 3, out: 2),
        ]
    }

    @Test(
        "half of a service's backends, in a cluster and in all, and never the last",
        arguments: Share.all)
    func share(share: Share) {
        var world = BackendWorld()
        let backends = world.addService(
            share.counts.sorted { $0.key < $1.key }.map { cluster, count in
                (cluster, (0..<count).map { "n\($0)" })
            })
        world.run(for: .seconds(3))
        for backend in backends.prefix(share.refusing) { world.conditions[backend] = .refusing }
        for _ in 0..<40 {
            world.run(for: .milliseconds(250))
            #expect(world.quarantined.count <= share.out)
        }
        #expect(world.quarantined.count == share.out)
        let spared = Set(
            world.events().compactMap { event in
                if case .spared(let backend) = event { backend } else { nil }
            })
        #expect(spared.count >= share.refusing - share.out)
    }

    @Test("one that two services have stays if either can't do without it")
    func shared() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "y", "z"])])
        // The same backend alone.
        world.addService([(2, ["x"])])
        world.run(for: .seconds(3))
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(5))
        #expect(world.quarantined.isEmpty)
        #expect(world.events() == [.spared(backends[0])])
    }

    @Test("the last live one comes back although it fails")
    func lastLive() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x"]), (3, ["y"])])
        world.run(for: .seconds(3))
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(3))
        #expect(Array(world.quarantined.keys) == [backends[0]])
        world.deadNodes = [BackendWorld.node(3, "y")]
        world.run(for: .milliseconds(500))
        #expect(world.quarantined.isEmpty)
        #expect(world.events().contains(.released(backends[0], .needed)))
    }

    @Test("one that no service has any more is forgotten")
    func gone() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "y", "z"])])
        world.run(for: .seconds(3))
        world.conditions[backends[0]] = .refusing
        world.run(for: .seconds(3))
        world.removeServices()
        world.run(for: .seconds(1))
        #expect(world.events().last == .released(backends[0], .gone))
        #expect(world.health.concerned.isEmpty)
    }

    @Test("no more than a number are out, whatever fails")
    func number() {
        var parameters = BackendHealthParameters()
        parameters.quarantineMaximum = 3
        var world = BackendWorld(parameters: parameters)
        let backends = world.addService([(2, (0..<20).map { "n\($0)" })])
        world.run(for: .seconds(3))
        for backend in backends { world.conditions[backend] = .refusing }
        world.run(for: .seconds(5))
        #expect(world.quarantined.count == 3)
    }
}

@Suite("Silence of many")
struct BackendGroupTests {
    private static func quarantines(_ world: BackendWorld) -> Int {
        world.events().count { if case .quarantined = $0 { true } else { false } }
    }

    @Test("most backends of a node silent at once: the node is suspected, and none quarantined")
    func node() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "x", "x", "y", "y", "y"])])
        world.run(for: .seconds(5))
        let subject = Suspicion.Subject.node(BackendWorld.node(2, "x"))
        for backend in backends.prefix(3) { world.conditions[backend] = .silent }
        world.run(for: .milliseconds(2500))
        #expect(world.events() == [.suspicion(subject, true)])
        // Liveness comes to the same conclusion.
        world.deadNodes = [BackendWorld.node(2, "x")]
        world.run(for: .seconds(10))
        #expect(Self.quarantines(world) == 0)
        for backend in backends { world.conditions[backend] = .answering }
        world.deadNodes = []
        world.run(for: .seconds(5))
        #expect(world.events() == [.suspicion(subject, true), .suspicion(subject, false)])
    }

    @Test(
        "a node that others hear all the same loses its silent backends one by one, within bounds")
    func unconfirmed() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "x", "y", "y"])])
        world.run(for: .seconds(5))
        for backend in backends.prefix(2) { world.conditions[backend] = .silent }
        world.run(for: .seconds(10))
        #expect(world.quarantined.keys.sorted() == Array(backends.prefix(2)))
    }

    @Test("one silent backend of a node whose others answer is its own fault")
    func single() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "x", "x", "y"])])
        world.run(for: .seconds(5))
        world.conditions[backends[0]] = .silent
        world.run(for: .seconds(4))
        #expect(world.events().first == .quarantined(backends[0]))
        #expect(world.health.suspicions.isEmpty)
    }

    @Test("a node that one backend still answers from isn't suspected of the others' silence")
    func signOfLife() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "x", "x", "y", "y", "y"])])
        world.run(for: .seconds(5))
        // The kernel counts answers only of backends that failed before.
        world.conditions[backends[2]] = .silent
        world.run(for: .milliseconds(1250))
        world.conditions[backends[2]] = .answering
        world.run(for: .seconds(2))
        for backend in backends.prefix(2) { world.conditions[backend] = .silent }
        world.run(for: .seconds(3))
        #expect(world.quarantined.keys.sorted() == Array(backends.prefix(2)))
        #expect(!world.events().contains { if case .suspicion = $0 { true } else { false } })
    }

    @Test("refusals speak against backends only: somebody there says no")
    func refusals() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "x", "y", "y"])])
        world.run(for: .seconds(5))
        for backend in backends.prefix(2) { world.conditions[backend] = .refusing }
        world.run(for: .seconds(3))
        #expect(world.quarantined.count == 2)
        #expect(world.health.suspicions.isEmpty)
    }

    @Test("silence over several nodes speaks against the cluster, which stays as it is")
    func cluster() {
        var world = BackendWorld()
        let backends = world.addService([(2, ["x", "x", "y", "y", "z", "z"]), (3, ["p", "q"])])
        world.run(for: .seconds(5))
        for backend in backends.prefix(6) { world.conditions[backend] = .silent }
        world.run(for: .seconds(30))
        let subject = Suspicion.Subject.cluster(clusterID(2))
        #expect(world.events() == [.suspicion(subject, true)])
        #expect(world.health.suspicions.map(\.silent) == [6])
        for backend in backends { world.conditions[backend] = .answering }
        world.run(for: .seconds(5))
        #expect(world.events().last == .suspicion(subject, false))
    }

    @Test("this node isn't suspected of its own backends' silence, nor this cluster")
    func own() {
        var world = BackendWorld()
        let backends = world.addService([(1, ["a", "a", "b", "b"])])
        world.run(for: .seconds(5))
        for backend in backends { world.conditions[backend] = .silent }
        world.run(for: .seconds(4))
        #expect(
            !world.events().contains(.suspicion(.node(BackendWorld.node(1, "a")), true))
                && !world.events().contains(.suspicion(.cluster(clusterID(1)), true)))
        #expect(world.events().contains(.suspicion(.node(BackendWorld.node(1, "b")), true)))
    }
}
