// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshReplication
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Nodes and clusters that say what isn't theirs to say")
struct TrustScenarios {
    @Test("an address outside its charter is refused by the others, who say why")
    func lyingExporter() throws {
        let world = try World()
        try world.write(1, service() + slice(at("10.1.0.1")))
        world.attach(1, "a", "victim", "10.1.0.5")
        // Cluster 2 claims a backend and an endpoint of cluster 1, among honest ones.
        try world.write(
            2, service() + slice(at("10.2.0.1")) + slice(name: "lie", of: "echo", at("10.1.0.66")))
        world.attach(2, "a", "honest", "10.2.0.5")
        world.attach(2, "a", "thief", "10.1.0.5")
        try world.run(for: .seconds(2))
        for number in [UInt16(1), 3] {
            for name in ["a", "b"] {
                let core = world.core(number, name)
                let refusals = core.refusals[cluster(2)] ?? [:]
                #expect(Set(refusals.keys) == ["endpoint/default/thief", "slice/default/lie"])
                #expect(refusals["slice/default/lie"]?.contains("10.1.0.66/32") == true)
                #expect(refusals["slice/default/lie"]?.contains("cluster 2") == true)
                #expect(world.row(number, name, "10.1.0.5")?.node == World.id(1, "a"))
                #expect(world.row(number, name, "10.2.0.5") != nil)
            }
        }
        #expect(
            world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a", "0.2*255 10.2.0.1:8080@a"])

        // The lie withdrawn, the refusals go.
        try world.write(2, service() + slice(at("10.2.0.1")))
        world.detach(2, "a", "thief")
        try world.run(for: .milliseconds(300))
        #expect(world.core(1, "b").refusals[cluster(2)]?.isEmpty == true)
        #expect(world.row(1, "b", "10.1.0.5")?.node == World.id(1, "a"))
    }

    @Test("a node can't report another node's endpoints, nor identities")
    func outOfTurn() throws {
        let world = try World()
        world.attach(1, "a", "victim", "10.1.0.5")
        try world.run(for: .seconds(2))
        let victim = EndpointRecord(
            object: ObjectName(namespace: "default", name: "victim"), node: "a",
            addresses: [Address("10.1.0.99")!], identity: Identity(rawValue: 0), labels: [:])
        let forged = IdentityRecord(identity: Identity(rawValue: 1), labels: ["app": "forged"])
        world.forge(
            .report(
                .init(
                    opens: false, closes: false,
                    puts: [
                        .init(key: victim.key, since: 0, value: victim.encoded),
                        .init(key: forged.key, since: 0, value: forged.encoded),
                    ], deletes: [victim.key])),
            from: World.id(1, "b"), to: World.id(1, "a"))
        try world.run(for: .milliseconds(300))
        #expect(world.endpoints(3, "b") == ["10.1.0.5"])
        let said = world.node(1, "a").notes.compactMap { note -> String? in
            if case .outOfTurn(let node, let what) = note { "\(node) \(what)" } else { nil }
        }
        #expect(said == ["1/b endpoint/default/victim", "1/b identity/1"])
    }

    @Test("another cluster's node can't report, drain, speak for relays or ask about flows here")
    func foreignMessages() throws {
        let world = try World()
        try world.run(for: .seconds(2))
        let record = ServiceRecordFixture.encoded
        let messages: [Message] = [
            .report(
                .init(
                    opens: true, closes: true,
                    puts: [.init(key: record.key, since: 0, value: record.value)], deletes: [])),
            .drain(.init(isDraining: true, generation: 99)),
            .deadNodes(.init(relay: World.id(3, "a"), names: ["b"])),
            // What is refused here, tracked here or passed over here is no other cluster's business.
            .accountAsk(
                AccountAsk(
                    id: 1, source: .nameless(.world), transport: 6, frontend: nil, targets: [])),
            .account(FlowAccount(id: 1)),
        ]
        let position = world.positions(of: 1)
        for message in messages {
            world.forge(message, from: World.id(2, "a"), to: World.id(1, "a"))
        }
        try world.run(for: .milliseconds(300))
        #expect(world.positions(of: 1) == position)
        #expect(!world.core(1, "a").drain.isDraining)
        let outOfTurn = world.node(1, "a").notes.count {
            if case .outOfTurn = $0 { true } else { false }
        }
        #expect(outOfTurn == messages.count)
    }

    @Test("what was written down before a root was replaced is believed by who starts alone")
    func replacedRoot() throws {
        let world = try World(clusters: 2)
        try world.write(1, service() + slice(at("10.1.0.1")))
        try world.write(2, service() + slice(at("10.2.0.1")))
        try world.run(for: .seconds(3))
        let epoch = try #require(world.positions(of: 1).first?.epoch)
        func believe() {
            for id in world.ids {
                world.act(id) { [believed = world.authorities.believed] core, effects in
                    core.trust(believed, into: &effects)
                }
            }
        }
        world.authorities.replace(cluster(1))
        believe()
        try world.run(for: .seconds(5))
        #expect(world.positions(of: 1).map(\.epoch) == [epoch + 1])
        world.authorities.withdraw(cluster(1))
        believe()
        try world.run(for: .seconds(5))
        #expect(world.positions(of: 1).map(\.epoch) == [epoch + 1])

        // All of them go; one of each cluster comes back, and has nobody to ask.
        for (number, name) in world.everyNode { world.kill(number, name) }
        for (number, name) in [(UInt16(1), "b"), (2, "b")] {
            world.isolate(number, name, true)
            world.revive(number, name)
            #expect(world.core(number, name).synchroniser.entries(of: cluster(1)).count > 3)
            let isUnbelieved = world.node(number, name).notes.contains {
                if case .unrestored = $0 { true } else { false }
            }
            #expect(!isUnbelieved)
        }
    }

    @Test("bytes that are no message change nothing and are told")
    func garbage() throws {
        let world = try World(clusters: 2, nodesPerCluster: 1)
        try world.write(1, service() + slice(at("10.1.0.1")))
        try world.run(for: .seconds(2))
        let before = world.positions(of: 1)
        for bytes in [[], [1], [1, 255], [5, 1, 0]] as [[UInt8]] {
            world.forge(bytes, from: World.id(2, "a"), to: World.id(1, "a"))
        }
        try world.run(for: .milliseconds(300))
        #expect(world.positions(of: 1) == before)
        let told = world.node(1, "a").notes.count {
            switch $0 {
            case .undecodable, .rejected: true
            default: false
            }
        }
        #expect(told == 4)
    }
}

private enum ServiceRecordFixture {
    static let encoded: (key: RecordKey, value: [UInt8]) = {
        let record = ServiceRecord(
            object: ObjectName(namespace: "default", name: "forged"),
            addresses: [Address("10.96.0.66")!],
            ports: [ServicePort(name: "", transport: .tcp, port: 80)], isGlobal: true,
            isShared: true, affinity: .none, sessionAffinitySeconds: 0)
        return (record.key, record.encoded)
    }()
}
