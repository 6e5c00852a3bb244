// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MeshAdmin

@Suite("How far a flow gets")
struct FlowWalkTests {
    private func step(_ stage: FlowStory.Stage, _ story: FlowStory) throws -> FlowStory.Step {
        try #require(story.steps.first { $0.stage == stage }, "\(story.steps)")
    }

    @Test("while all is well it works, through the tier that comes first")
    func works() throws {
        let story = FlowFixture().story
        #expect(story.outcome == .works && story.stoppedAt == nil && story.advice == nil)
        #expect(
            story.conclusion
                == "works: nothing stops shop/client from reaching shop/web, through 2 backends in east"
        )
        #expect(story.steps.map(\.stage) == [.source, .service, .egress, .path, .ingress])
        #expect(story.steps.allSatisfy { $0.mark == .fine })
        let service = try step(.service, story)
        #expect(service.sentence.contains("global, affinity local: tier 0, 2 of 5 backends"))
        #expect(
            service.details == [
                "tier 0, east: used, weight 25500: 2 of 2 backends take new flows",
                "tier 1, west: not used while tier 0 has backends; 1 of 1 backends take new flows",
                "tier 1, south: not used while tier 0 has backends; 2 of 2 backends take new flows",
            ])
        #expect(story.candidates.map(\.passedOver).filter { $0 == nil }.count == 2)
        #expect(story.candidates.last?.passedOver == "tier 0 comes first")
        #expect(story.notes == ["judged here"])
    }

    @Test("a dead cluster's backends are passed over for those of the next tier")
    func failover() throws {
        var fixture = FlowFixture()
        fixture.set(cluster: 0, .draining)
        fixture.set(cluster: 1, .unreachable)
        let story = fixture.story
        #expect(story.outcome == .works && story.conclusion.hasSuffix("2 backends in south"))
        let details = try step(.service, story).details
        #expect(details[0] == "tier 0, east: not used: cluster east is draining since 12s")
        #expect(details[1] == "tier 1, west: not used: cluster west is unreachable since 12s")
    }

    @Test("the last cluster is never taken away: what isn't unreachable, then whatever there is")
    func lastResort() throws {
        var fixture = FlowFixture()
        for index in 0..<3 { fixture.set(cluster: index, index == 2 ? .suspect : .unreachable) }
        let suspect = fixture.story
        #expect(suspect.outcome == .works)
        let service = try step(.service, suspect)
        #expect(service.mark == .note && service.sentence.contains("as a last resort"))
        #expect(
            suspect.candidates.filter { $0.passedOver == nil }.map(\.cluster) == ["south", "south"])

        fixture.set(cluster: 2, .unreachable)
        let dead = fixture.story
        // Its own is tried first, which nothing is in the way of.
        #expect(dead.candidates.first?.cluster == "east")
    }

    @Test("a service without backends stops the flow, and says where to look")
    func noBackends() throws {
        var fixture = FlowFixture()
        fixture.service.slices = []
        let story = fixture.story
        #expect(story.outcome == .stops && story.stoppedAt == .service)
        #expect(
            story.conclusion
                == "stops at the choice of a backend: shop/web has no backend in any cluster")
        #expect(story.advice?.contains("selector") == true)
        #expect(story.steps.map(\.stage) == [.source, .service])
    }

    @Test("backends that take no new flows are named with their reasons")
    func quarantine() throws {
        var fixture = FlowFixture()
        fixture.service.slices = [fixture.service.slices[0]]
        fixture.service.slices[0].backends[0].quarantine = QuarantineStatus(
            sinceSeconds: 30, reason: "3 failures, nobody listens")
        fixture.set(node: 2, of: 0, .unreachable)
        let story = fixture.story
        #expect(story.stoppedAt == .service)
        #expect(
            story.conclusion.hasSuffix(
                "none of the 2 backends of shop/web takes new flows: in quarantine for 30s: "
                    + "3 failures, nobody listens"))
        #expect(
            story.candidates.map(\.passedOver) == [
                "in quarantine for 30s: 3 failures, nobody listens",
                "node east/n2 is unreachable since 19s",
            ])
    }

    @Test("a client is never sent to itself, nor to another address family")
    func oneself() {
        var fixture = FlowFixture()
        fixture.source.addresses = ["10.1.1.8"]
        fixture.service.slices[0].backends[1].address = "fd00:1:2::8"
        let story = fixture.story
        #expect(story.conclusion.hasSuffix("3 backends in south, west"))
        #expect(
            Set(story.candidates.compactMap(\.passedOver)) == [
                "it is the source itself", "it has another address family than the service",
            ])
    }

    @Test(
        "policies stop a flow at the side that decides",
        arguments: [FlowStory.Stage.egress, .ingress])
    func policy(stage: FlowStory.Stage) throws {
        var fixture = FlowFixture()
        let reason = "denied: NetworkPolicy shop/db isolates it and no rule accepts"
        for address in ["10.1.1.8", "10.1.2.8"] { fixture.denied[address] = (stage, reason) }
        let story = fixture.story
        #expect(story.outcome == .stops && story.stoppedAt == stage)
        let side = stage == .egress ? "source" : "destination"
        #expect(story.conclusion == "stops at the policies of the \(side): \(reason)")
        #expect(story.advice?.contains("change that policy in cluster east") == true)
        #expect(try step(stage, story).mark == .stop)
        #expect(story.candidates[0].obstacle == reason)

        fixture.isAudited = true
        let audited = fixture.story
        #expect(audited.outcome == .works)
        #expect(try step(stage, audited).mark == .note)
    }

    @Test("backends that are reached and others that aren't: it works for some")
    func partly() throws {
        var fixture = FlowFixture()
        fixture.denied["10.1.2.8"] = (.ingress, "denied: a rule")
        let story = fixture.story
        #expect(story.outcome == .partly && story.stoppedAt == nil)
        #expect(
            story.conclusion
                == "works for 1 of 2 backends; to the others it stops at the policies of the "
                + "destination: denied: a rule")
        #expect(try step(.ingress, story).details.count == 2)
        #expect(story.candidates.map(\.obstacle) == [nil, "denied: a rule", nil, nil, nil])
    }

    @Test("an endpoint of a dead cluster: what was heard of it, and when")
    func deadCluster() throws {
        var fixture = FlowFixture()
        fixture.aim(at: "10.2.1.8", name: "shop/web-1", cluster: "west", node: "n1")
        #expect(fixture.story.outcome == .works)
        fixture.set(cluster: 1, .unreachable)
        fixture.hearsay["west"] = "third clusters don't hear it either"
        let story = fixture.story
        #expect(story.stoppedAt == .path)
        #expect(
            story.conclusion == "stops at the path: cluster west is unreachable since 12s")
        #expect(story.advice?.contains("'weft why west'") == true)
        #expect(
            try step(.path, story).details == [
                "cluster west is unreachable since 12s, weight 0 of 255; 1 of 1 paths are up, last "
                    + "heartbeat 150ms ago",
                "as to the cause: third clusters don't hear it either",
            ])
    }

    @Test("a path whose overlay is silent says what to look for")
    func overlay() throws {
        var fixture = FlowFixture()
        fixture.aim(at: "10.2.1.8", name: "shop/web-1", cluster: "west", node: "n1")
        fixture.set(cluster: 1, .suspect)
        fixture.clusters[1].paths[0].overlay = .silent
        let story = fixture.story
        #expect(story.outcome == .works)
        let path = try step(.path, story)
        #expect(path.mark == .note && path.details.contains { $0.contains("firewall") })
    }

    @Test(
        "who is dead, not in place or nobody at all stops it",
        arguments: [
            ("dead node", "node west/n1 is unreachable since 19s"),
            ("no underlay", "node west/n1 has no known underlay address"),
            ("not in place", "shop/web-1 isn't in place on its node: no room"),
            ("nobody", "10.2.1.99 is in the prefix of node west/n1, but no endpoint has it"),
        ])
    func targets(mishap: String, reason: String) {
        var fixture = FlowFixture()
        fixture.aim(at: "10.2.1.8", name: "shop/web-1", cluster: "west", node: "n1")
        switch mishap {
        case "dead node": fixture.set(node: 1, of: 1, .unreachable)
        case "no underlay": fixture.nodes[2].outerAddresses = []
        case "not in place": fixture.destination.problem = "no room"
        default: fixture.aim(at: "10.2.1.99", name: "10.2.1.99", cluster: nil, node: nil)
        }
        let story = fixture.story
        #expect(story.stoppedAt == .path && story.conclusion == "stops at the path: \(reason)")
        #expect(story.advice != nil)
    }

    @Test("what is outside the mesh is left to the node's routes")
    func outside() throws {
        var fixture = FlowFixture()
        fixture.aim(at: "198.51.100.7", name: "198.51.100.7", cluster: nil, node: nil)
        let story = fixture.story
        #expect(story.outcome == .works)
        #expect(try step(.path, story).sentence.contains("outside the mesh"))
    }

    @Test("another node's endpoint: whose view this is, and where to ask")
    func elsewhere() throws {
        var fixture = FlowFixture()
        fixture.source.node = "n2"
        fixture.source.isHere = false
        let source = try step(.source, fixture.story)
        #expect(source.mark == .note && source.sentence.contains("node east/n2"))
        #expect(source.details.contains("there: weft why shop/client shop/web:80"))
        fixture.set(node: 2, of: 0, .unreachable)
        #expect(fixture.story.stoppedAt == .source)
        fixture.source.problem = "its interface is gone"
        #expect(fixture.story.conclusion.contains("its interface is gone"))
    }

    @Test("flows like it that were refused lately stand with the answer; others don't")
    func evidence() throws {
        func flow(_ source: String, _ to: String, _ port: UInt16, _ transport: String) -> Flow {
            Flow(
                timeUnixMilliseconds: FlowFixture.now - 4000, type: .denied, verdict: .denied,
                transport: transport, source: FlowPeer(address: source, port: 4711, identity: 0),
                destination: FlowPeer(address: to, port: port, identity: 0),
                reason: "policy_denied", policy: "NetworkPolicy shop/db", packets: 0, bytes: 0)
        }
        var fixture = FlowFixture()
        fixture.refused = [
            flow("10.1.1.6", "10.1.1.8", 8080, "TCP"), flow("10.1.1.5", "10.1.1.9", 8080, "TCP"),
            flow("10.1.1.5", "10.1.1.8", 9090, "TCP"), flow("10.1.1.5", "10.1.1.8", 8080, "UDP"),
        ]
        #expect(fixture.story.evidence.isEmpty)
        fixture.refused += [
            flow("10.1.1.5", "10.1.2.8", 8080, "TCP"), flow("10.1.1.5", "10.96.0.7", 80, "TCP"),
        ]
        let story = fixture.story
        #expect(story.evidence.count == 2 && story.outcome == .works)
        #expect(story.conclusion.hasSuffix("though such flows were refused lately"))
        let said = try step(.evidence, story)
        #expect(said.sentence.hasSuffix("(policy_denied), the last one 4.0s ago"))
        #expect(said.details == ["NetworkPolicy shop/db"])
    }
}
