// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshModel
import Testing

@testable import weft

private let east = ClusterReference(name: "east", id: 1)
private let west = ClusterReference(name: "west", id: 2)

@Suite("Tables")
struct RenderTests {
    @Test("status names the node, what is wrong and how old everything is")
    func status() {
        let text = StatusCommand().render(
            AgentStatus(
                version: "0.1.0", cluster: east, node: "n1",
                health: HealthSummary(state: .degraded, reasons: ["a manifest can't be read"]),
                uptimeSeconds: 192, memoryBytes: 50 << 20, isDraining: true,
                publisher: PublisherStatus(node: "n2", isLocal: false, isReachable: false),
                ledgers: [
                    LedgerStatus(
                        cluster: west, epoch: 3, revision: 41, ageSeconds: 0.25, records: 7,
                        quarantined: 1, refused: 2, isFrozen: false)
                ],
                peers: [west],
                links: [
                    LinkStatus(
                        peer: "west/n1", state: .waiting, sinceSeconds: 2, lastError: "refused")
                ],
                manifestProblems: [
                    ManifestProblem(file: "web.yaml", line: 7, message: "port 70000 is too high")
                ],
                ignoredKinds: [IgnoredKind(kind: "Deployment", objects: 2)],
                warnings: ["west is unreachable"]))
        #expect(
            text == """
                Node       n1 of east (1)
                Agent      0.1.0, up 3m12s, 50.0 MiB
                Health     degraded; a manifest can't be read
                Publisher  n2, out of reach
                Peers      west (2)
                Draining   takes no new flows
                Ignored    2 Deployment

                Warnings
                  west is unreachable

                LEDGER  POSITION    AGE  RECORDS  QUARANTINED  REFUSED  STATE
                west        3.41  250ms        7            1        2  following

                LINK     STATE    SINCE  LAST ERROR
                west/n1  waiting   2.0s  refused

                MANIFEST  LINE  PROBLEM
                web.yaml     7  port 70000 is too high

                """)
    }

    @Test("clusters: verdict, weight and how many paths are up")
    func clusters() throws {
        let command = try #require(
            try Weft.parseAsRoot(["cluster", "list"]) as? ClusterCommand.List)
        let paths = [("n1", VerdictName.up, 0.42), ("n2", .suspect, 0.5)].map { node, state, rtt in
            PathStatus(
                localRelay: "n1", remoteNode: node, state: state, rttMilliseconds: rtt,
                lastBeatSeconds: 0.1)
        }
        let text = command.render([
            cluster(east, isLocal: true, paths: []), cluster(west, isLocal: false, paths: paths),
        ])
        #expect(
            text == """
                CLUSTER     ID  MESH  VERDICT  SINCE  WEIGHT  PATHS      RTT  POSITION  NODES  SERVICES  ENDPOINTS
                east (own)   1  -     up        1m0s     255  -            -      1.41      2         5          9
                west         2  -     up        1m0s     255  1/2 up  0.42ms      1.41      2         5          9

                """)
    }

    @Test("clusters on the home: who is a member, who isn't and why; who is gone isn't listed")
    func roster() throws {
        let command = try #require(
            try Weft.parseAsRoot(["cluster", "list"]) as? ClusterCommand.List)
        func row(_ name: String, _ state: RosterStatus.State, _ reason: String? = nil)
            -> ClusterStatus
        {
            var row = cluster(ClusterReference(name: name, id: 9), isLocal: false, paths: [])
            row.nodes = state == .member ? 2 : 0
            row.roster = RosterStatus(
                state: state, reason: reason, roots: ["0a1b"], introducers: [],
                isAcceptedHere: false, asksForMore: false, heard: nil)
            return row
        }
        let text = command.render([
            row("west", .member), row("south", .pending, "introduced by 'west'"),
            row("gone", .left), row("lost", .forgotten),
        ])
        let lines = text.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[1].contains("west      9  member   up"))
        #expect(lines[2].contains("south     9  pending  up"))
        #expect(lines[3] == "south: pending: introduced by 'west'; root 0a1b.")
    }

    @Test("a cluster whose weight its capacity keeps down: how much it has to spare")
    func capacity() throws {
        let command = try #require(
            try Weft.parseAsRoot(["cluster", "list"]) as? ClusterCommand.List)
        var full = cluster(west, isLocal: false, paths: [])
        full.capacity = CapacityStatus(capacity: 8000, spare: 640, weightShare: 0.28)
        var ample = cluster(east, isLocal: true, paths: [])
        ample.capacity = CapacityStatus(capacity: 8000, spare: 6400, weightShare: 1)
        let text = command.render([ample, full])
        #expect(
            text.hasSuffix(
                "\n\nwest: It has 8 % of its capacity to spare (640 of 8000): "
                    + "28 % of the weight it could have.\n"))
        #expect(!text.contains("east:"))
        #expect(try Weft.parseAsRoot(["why", "west"]) is WhyCommand)
        let story = HealthStory(
            subject: "west", verdict: .up, sinceSeconds: 60, weight: 71, capacity: full.capacity,
            membership: nil, paths: [], events: [])
        #expect(WhyCommand.render(story).contains("8 % of its capacity to spare (640 of 8000)"))
    }

    @Test("a node that leaves: what it waits for, and what it left open")
    func departure() {
        let waiting = DepartureStatus(
            phase: .draining, open: ["2 connections to its endpoints are open"],
            remainingSeconds: 42)
        #expect(
            NodeCommand.Leave.sentence(of: waiting) == """
                This node leaves within 42s: no new connections, open ones finish.
                  2 connections to its endpoints are open

                """)
        let left = DepartureStatus(phase: .left, open: waiting.open)
        #expect(
            NodeCommand.Leave.sentence(of: left) == """
                This node has left its cluster and may be stopped.
                  left open: 2 connections to its endpoints are open

                """)
        let keys = [(false, 1), (true, 2)].map {
            GossipKeyStatus(key: "00ff", ageSeconds: 60, isNewest: $0.0, users: $0.1, nodes: 3)
        }
        #expect(
            NodeCommand.table(of: keys) == """
                KEY    AGE  STATE                    USED BY
                00ff  1m0s  until all know the next   1 of 3
                00ff  1m0s  in force                  2 of 3

                """)
    }

    @Test("services: what is live of what there is, and why the kernel is behind")
    func services() throws {
        let backends = [true, false].map {
            BackendStatus(address: "10.2.1.5", port: 8080, node: "n2", isLive: $0)
        }
        let service = ServiceStatus(
            namespace: "shop", name: "web", portName: "", address: "fd00::7", port: 80,
            transport: "TCP", isGlobal: true, affinity: .local, sessionAffinitySeconds: 600,
            state: .error, reason: "the map is full",
            slices: [
                SliceStatus(cluster: east, tier: 0, weight: 1, isLive: true, backends: backends),
                SliceStatus(cluster: west, tier: 1, weight: 1, isLive: false, backends: backends),
            ])
        let list = try #require(
            try Weft.parseAsRoot(["service", "list"]) as? ServiceCommand.List)
        #expect(
            list.render([service]) == """
                NAMESPACE  NAME  ADDRESS       PROTOCOL  GLOBAL  AFFINITY  STATE                   BACKENDS (LIVE/ALL)
                shop       web   [fd00::7]:80  TCP       yes     local     error: the map is full  east 1/2, west 0/2

                """)
        let get = try #require(
            try Weft.parseAsRoot(["service", "get", "shop/web"]) as? ServiceCommand.Get)
        #expect(
            get.render([service]) == """
                shop/web at [fd00::7]:80/TCP: global, affinity local, clients stay for 10m0s, error: the map is full
                CLUSTER  TIER  WEIGHT  BACKEND        NODE  TAKES NEW FLOWS
                east        0       1  10.2.1.5:8080  n2    yes
                east        0       1  10.2.1.5:8080  n2    no: node
                west        1       1  10.2.1.5:8080  n2    no: cluster
                west        1       1  10.2.1.5:8080  n2    no: cluster

                """)
    }

    @Test("a flow is one line, with names where they are known")
    func flow() {
        let flow = Flow(
            timeUnixMilliseconds: 1_795_000_001_250, type: .closed, verdict: .forwarded,
            transport: "TCP",
            source: FlowPeer(
                address: "10.1.0.5", port: 40_000, identity: 1 << 20 | 256, namespace: "shop",
                name: "web-0", cluster: "east"),
            destination: FlowPeer(address: "10.2.1.5", port: 8080, identity: 2 << 20 | 256),
            frontend: "10.96.0.7:80", packets: 12, bytes: 2048)
        #expect(
            FlowsCommand.line(flow)
                == "2026-11-18T11:06:41.250Z closed TCP east:shop/web-0 (10.1.0.5:40000) -> "
                + "10.96.0.7:80 = 10.2.1.5:8080 12 packets, 2.0 KiB")
    }

    private func cluster(
        _ cluster: ClusterReference, isLocal: Bool, paths: [PathStatus]
    ) -> ClusterStatus {
        ClusterStatus(
            name: cluster.name, id: cluster.id, isLocal: isLocal, verdict: .up, sinceSeconds: 60,
            weight: 255, generation: 1, paths: paths, epoch: 1, revision: 41, nodes: 2,
            services: 5, endpoints: 9)
    }
}
