// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshStore
import Testing

struct MergeScenario: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let manifests: [UInt16: String]
    let expected: String

    init(_ sentence: String, _ manifests: [UInt16: String], _ expected: String...) {
        testDescription = sentence
        self.manifests = manifests
        self.expected = expected.joined(separator: "\n")
    }

    static let all: [MergeScenario] = sharing + ports + readiness + health
}

extension MergeScenario {
    private static let two = slice(endpoint("10.2.0.1"), endpoint("10.2.0.2"))
    private static let own = slice(endpoint("10.1.0.1"))
    private static func affinity(_ text: String) -> String {
        "{weft.io/global: \"true\", weft.io/affinity: \(text)}"
    }

    static let sharing = [
        MergeScenario(
            "a service that isn't global stays alone",
            [1: service() + own, 2: service(annotations: global) + two],
            "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n"),
        MergeScenario(
            "a global service takes in what others share, each in proportion to its backends",
            [
                1: service(annotations: global) + own,
                2: service(ip: "10.97.0.9", annotations: global) + two,
                3: service(ip: "10.98.0.9") + slice(endpoint("10.3.0.1")),
                4: service(
                    ip: "10.99.0.9",
                    annotations: "{weft.io/global: 'true', weft.io/shared: 'false'}")
                    + slice(endpoint("10.4.0.1")),
            ],
            "10.96.0.1:80/TCP http | 0.1*128 10.1.0.1:8080@n | 0.2*255 10.2.0.1:8080@n "
                + "10.2.0.2:8080@n"),
        MergeScenario(
            "a service that only others have is no frontend here",
            [1: service("other", annotations: global), 2: service(annotations: global) + two],
            "10.96.0.1:80/TCP http"),
        MergeScenario(
            "what isn't shared is still served by others",
            [
                1: service(annotations: "{weft.io/global: 'true', weft.io/shared: 'false'}"),
                2: service(annotations: global) + two,
            ],
            "10.96.0.1:80/TCP http | 0.2*255 10.2.0.1:8080@n 10.2.0.2:8080@n"),
        MergeScenario(
            "affinity local puts the others behind the own cluster",
            [
                1: service(annotations: affinity("local")) + own,
                2: service(annotations: affinity("remote")) + two,
                3: service(annotations: global) + slice(endpoint("10.3.0.1")),
            ],
            "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n | 1.2*255 10.2.0.1:8080@n "
                + "10.2.0.2:8080@n | 1.3*128 10.3.0.1:8080@n"),
        MergeScenario(
            "affinity remote puts the own cluster behind the others",
            [
                1: service(annotations: affinity("remote")) + own,
                2: service(annotations: global) + two,
            ],
            "10.96.0.1:80/TCP http | 0.2*255 10.2.0.1:8080@n 10.2.0.2:8080@n "
                + "| 1.1*255 10.1.0.1:8080@n"),
        MergeScenario(
            "a headless service has no frontend",
            [1: service(ip: "None", annotations: global) + own], ""),
        MergeScenario(
            "session affinity is the own cluster's",
            [
                1: service(annotations: global, more: "sessionAffinity: ClientIP") + own,
                2: service(annotations: global) + two,
            ],
            "10.96.0.1:80/TCP http 10800s | 0.1*128 10.1.0.1:8080@n | 0.2*255 10.2.0.1:8080@n "
                + "10.2.0.2:8080@n"),
    ]

    static let ports = [
        MergeScenario(
            "several ports are matched by name and protocol, in both families",
            [
                1: service(
                    annotations: global,
                    ports: "[{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]",
                    more: "clusterIPs: [10.96.0.1, \"fd00:96::1\"]")
                    + slice(
                        name: "v4", ports: "[{name: dns, port: 5353, protocol: UDP}]",
                        endpoint("10.1.0.1"))
                    + slice(
                        name: "v6", type: "IPv6",
                        ports:
                            "[{name: dns, port: 5353, protocol: UDP}, {name: dns-tcp, port: 53}]",
                        endpoint("fd00:1::1"))
            ],
            "10.96.0.1:53/TCP dns-tcp",
            "10.96.0.1:53/UDP dns | 0.1*255 10.1.0.1:5353@n",
            "[fd00:96::1]:53/TCP dns-tcp | 0.1*255 fd00:1::1:53@n",
            "[fd00:96::1]:53/UDP dns | 0.1*255 fd00:1::1:5353@n"),
        MergeScenario(
            "a remote port of another number is found by its name",
            [
                1: service(annotations: global),
                2: service(
                    annotations: global,
                    ports: "[{name: admin, port: 80}, {name: http, port: 8000}]")
                    + slice(
                        ports: "[{name: admin, port: 9}, {name: http, port: 8888}]",
                        endpoint("10.2.0.1")),
            ],
            "10.96.0.1:80/TCP http | 0.2*255 10.2.0.1:8888@n"),
        MergeScenario(
            "the only port is found whatever its name, but not for another protocol",
            [
                1: service(annotations: global, ports: "[{port: 80}]"),
                2: service(annotations: global, ports: "[{name: web, port: 81}]")
                    + slice(ports: "[{name: web, port: 8888}]", endpoint("10.2.0.1")),
                3: service(annotations: global, ports: "[{name: web, port: 81, protocol: UDP}]")
                    + slice(
                        ports: "[{name: web, port: 1, protocol: UDP}]", endpoint("10.3.0.1")),
            ],
            "10.96.0.1:80/TCP | 0.2*255 10.2.0.1:8888@n"),
        MergeScenario(
            "a slice without the port, or without any, gives nothing",
            [
                1: service() + slice(ports: "[{name: web, port: 1}]", endpoint("10.1.0.1"))
                    + slice(name: "b", ports: "[]", endpoint("10.1.0.2"))
            ],
            "10.96.0.1:80/TCP http"),
        MergeScenario(
            "a backend in several slices counts once, one without a node is unplaced",
            [
                1: service() + slice(name: "a", endpoint("10.1.0.2"), endpoint("10.1.0.1"))
                    + slice(name: "b", endpoint("10.1.0.2"))
                    + slice(name: "c", "{addresses: [192.168.0.1]}")
            ],
            "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n 10.1.0.2:8080@n 192.168.0.1:8080@"),
    ]

    static let readiness = [
        MergeScenario(
            "only ready backends count",
            [
                1: service()
                    + slice(
                        endpoint("10.1.0.1"), endpoint("10.1.0.2", "{ready: false}"),
                        endpoint("10.1.0.3", "{ready: false, serving: true, terminating: true}"),
                        endpoint("10.1.0.4", "{}"))
            ],
            "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n 10.1.0.4:8080@n"),
        MergeScenario(
            "without a ready one, those that serve while they terminate do",
            [
                1: service(annotations: global)
                    + slice(
                        endpoint("10.1.0.2", "{ready: false}"),
                        endpoint("10.1.0.3", "{ready: false, serving: true, terminating: true}")),
                2: service(annotations: global) + slice(endpoint("10.2.0.1", "{ready: false}")),
            ],
            "10.96.0.1:80/TCP http | 0.1*255 10.1.0.3:8080@n"),
    ]

    /// Endpoints of the own cluster: as many ready ones, and not ready ones, as said.
    private static func own(_ ready: Int, _ unready: Int, terminating: Int = 0) -> String {
        var endpoints = (0..<ready).map { endpoint("10.1.0.\($0 + 1)") }
        endpoints += (0..<unready).map { endpoint("10.1.1.\($0 + 1)", "{ready: false}") }
        endpoints += (0..<terminating).map {
            endpoint("10.1.2.\($0 + 1)", "{ready: false, serving: true, terminating: true}")
        }
        return slice(endpoints.joined(separator: ", "))
    }

    /// One ready backend of the own cluster, `unready` others; two of cluster 2.
    private static func share(
        _ sentence: String, unready: Int, terminating: Int = 0, _ expected: String
    ) -> MergeScenario {
        MergeScenario(
            sentence,
            [
                1: service(annotations: affinity("local"))
                    + own(1, unready, terminating: terminating),
                2: service(annotations: global) + two,
            ], "10.96.0.1:80/TCP http | \(expected)")
    }

    static let health = [
        share(
            "half of the preferred backends ready: they keep 70 %, the rest spills", unready: 1,
            "0.1*255 10.1.0.1:8080@n | 0.2*109 10.2.0.1:8080@n 10.2.0.2:8080@n"),
        share(
            "one of three ready keeps 47 %", unready: 2,
            "0.1*223 10.1.0.1:8080@n | 0.2*255 10.2.0.1:8080@n 10.2.0.2:8080@n"),
        share(
            "those that terminate on purpose aren't missing", unready: 0, terminating: 3,
            "0.1*255 10.1.0.1:8080@n | 1.2*255 10.2.0.1:8080@n 10.2.0.2:8080@n"),
        MergeScenario(
            "three of four ready do all the work: nothing spills",
            [
                1: service(annotations: affinity("local")) + own(3, 1),
                2: service(annotations: global) + slice(endpoint("10.2.0.1")),
            ],
            "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n 10.1.0.2:8080@n 10.1.0.3:8080@n "
                + "| 1.2*255 10.2.0.1:8080@n"),
        MergeScenario(
            "what only terminates is the last resort behind another cluster's ready ones",
            [
                1: service(annotations: affinity("local")) + own(0, 1, terminating: 1),
                2: service(annotations: global) + slice(endpoint("10.2.0.1")),
            ],
            "10.96.0.1:80/TCP http | 1.2*255 10.2.0.1:8080@n | 2.1*255 10.1.2.1:8080@n"),
        MergeScenario(
            "where both tiers lack, they share by what each could take: 35 to 47",
            [
                1: service(annotations: affinity("local")) + own(1, 3),
                2: service(annotations: global)
                    + slice(
                        endpoint("10.2.0.1"), endpoint("10.2.0.2", "{ready: false}"),
                        endpoint("10.2.0.3", "{ready: false}")),
            ],
            "10.96.0.1:80/TCP http | 0.1*191 10.1.0.1:8080@n | 0.2*255 10.2.0.1:8080@n"),
        MergeScenario(
            "a preferred cluster without any ready one counts against its tier",
            [
                1: service(annotations: affinity("remote")) + slice(endpoint("10.1.0.1")),
                2: service(annotations: global) + slice(endpoint("10.2.0.1")),
                3: service(annotations: global) + slice(endpoint("10.3.0.1", "{ready: false}")),
            ],
            "10.96.0.1:80/TCP http | 0.1*109 10.1.0.1:8080@n | 0.2*255 10.2.0.1:8080@n"),
        MergeScenario(
            "what spills is spread by backends",
            [
                1: service(annotations: affinity("local")) + own(1, 1),
                2: service(annotations: global) + two,
                3: service(annotations: global) + slice(endpoint("10.3.0.1")),
            ],
            "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n | 0.2*73 10.2.0.1:8080@n "
                + "10.2.0.2:8080@n | 0.3*36 10.3.0.1:8080@n"),
        MergeScenario(
            "without affinity readiness shows in the number of backends, and nowhere else",
            [
                1: service(annotations: global) + own(1, 3),
                2: service(annotations: global) + two,
            ],
            "10.96.0.1:80/TCP http | 0.1*128 10.1.0.1:8080@n | 0.2*255 10.2.0.1:8080@n "
                + "10.2.0.2:8080@n"),
    ]
}

@Suite("From manifests to frontends:")
struct ServiceMergerTests {
    @Test("one service in several clusters", arguments: MergeScenario.all)
    func scenario(_ scenario: MergeScenario) throws {
        #expect(try merged(scenario.manifests) == scenario.expected)
    }

    @Test("a change touches the frontends of its service and no others")
    func incremental() throws {
        var merger = ServiceMerger(own: cluster(1))
        let first = merger.update(
            try changes(
                service("a", ip: "10.96.0.1") + slice(name: "a", service: "a", endpoint("10.1.0.1"))
                    + service("b", ip: "10.96.0.2"), cluster: 1))
        #expect(first.upserts.count == 2 && first.deletes.isEmpty)

        let more = try changes(slice(name: "b", service: "b", endpoint("10.1.0.9")), cluster: 1)
        #expect(
            merger.update(more).upserts.map(describe) == [
                "10.96.0.2:80/TCP http | 0.1*255 10.1.0.9:8080@n"
            ])
        #expect(merger.update(more).isEmpty, "the same again is no change")

        let moved = merger.update(
            try changes(slice(name: "b", service: "a", endpoint("10.1.0.9")), cluster: 1))
        #expect(
            moved.upserts.map(describe) == [
                "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n 10.1.0.9:8080@n",
                "10.96.0.2:80/TCP http",
            ])
        let gone = merger.update(
            ServiceChange(
                cluster: cluster(1), .serviceDeleted(ObjectName(namespace: "default", name: "a"))))
        #expect(gone.upserts.isEmpty && gone.deletes.map(\.description) == ["10.96.0.1:80/TCP"])
    }

    @Test("a slice that arrives before its service waits for it")
    func order() throws {
        var merger = ServiceMerger(own: cluster(1))
        let early = merger.update(try changes(slice(endpoint("10.1.0.1")), cluster: 1))
        #expect(early.isEmpty)
        let late = merger.update(try changes(service(), cluster: 1))
        #expect(late.upserts.map(describe) == ["10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n"])
    }

    @Test("a cluster that leaves takes its backends along")
    func removal() throws {
        var merger = ServiceMerger(own: cluster(1))
        _ = merger.update(try changes(service(annotations: global), cluster: 1))
        _ = merger.update(
            try changes(service(annotations: global) + slice(endpoint("10.2.0.1")), cluster: 2))
        let left = merger.remove(cluster: cluster(2))
        #expect(left.upserts.map(describe) == ["10.96.0.1:80/TCP http"])
        #expect(merger.remove(cluster: cluster(2)).isEmpty)
    }

    @Test("two services on one address: the first by name has it until it goes, and it is told")
    func conflict() throws {
        var merger = ServiceMerger(own: cluster(1))
        _ = merger.update(try changes(service("b"), cluster: 1))
        let taken = merger.update(try changes(service("a"), cluster: 1))
        #expect(taken.upserts.map(\.service.name) == ["a"])
        #expect(
            merger.problems == [
                "service default/b: 10.96.0.1:80/TCP belongs to service default/a; give one of them "
                    + "another cluster IP or port"
            ])
        let freed = merger.update(
            ServiceChange(
                cluster: cluster(1), .serviceDeleted(ObjectName(namespace: "default", name: "a"))))
        #expect(freed.upserts.map(\.service.name) == ["b"])
        #expect(freed.deletes.isEmpty && merger.problems.isEmpty)
    }

    @Test("beyond 32 clusters the own one stays and the others with the lowest IDs")
    func manyClusters() throws {
        var merger = ServiceMerger(own: cluster(40))
        for number in UInt16(1)...40 {
            _ = merger.update(
                try changes(
                    service(annotations: global) + slice(endpoint("10.\(number).0.1")),
                    cluster: number))
        }
        let clusters = try #require(merger.frontends.first).slices.map(\.cluster.rawValue)
        #expect(clusters == Array(1...31) + [40])
    }

    @Test("the smallest share of a huge service is still a share")
    func weights() throws {
        let many = (0..<900).map { endpoint("10.2.\($0 / 250).\($0 % 250 + 1)") }
        let large = """
            ---
            {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
             metadata: {name: l, labels: {kubernetes.io/service-name: echo}},
             ports: [{name: http, port: 8080}], endpoints: [\(many.joined(separator: ","))]}
            """
        var merger = ServiceMerger(own: cluster(1))
        _ = merger.update(
            try changes(service(annotations: global) + slice(endpoint("10.1.0.1")), cluster: 1))
        _ = merger.update(try changes(service(annotations: global) + large, cluster: 2))
        #expect(merger.frontends.first?.slices.map(\.weight) == [1, 255])
    }

    @Test("a record whose value isn't its key's, or no record, is refused and changes nothing")
    func quarantine() throws {
        let key = RecordKey(kind: .service, name: "default/echo")
        #expect(throws: DecodingFault.truncated) {
            try ServiceChange(cluster: cluster(1), key: key, value: [1])
        }
        let other = ServiceRecord(
            object: ObjectName(namespace: "x", name: "y"), addresses: [], ports: [],
            isGlobal: true, isShared: true, affinity: .none, sessionAffinitySeconds: 0)
        #expect(throws: DecodingFault.invalid("key")) {
            try ServiceChange(cluster: cluster(1), key: key, value: other.encoded)
        }
        let node = RecordKey(kind: .node, name: "n")
        #expect(try ServiceChange(cluster: cluster(1), key: node, value: [1]) == nil)
    }

    @Test("frontends reach the table, and a change of one row is one change of the table")
    func table() throws {
        let store = MeshStore()
        var merger = ServiceMerger(own: cluster(1))
        func apply(_ changes: FrontendChanges) {
            store.write { tables in
                for key in changes.deletes { tables.frontends.delete(key) }
                for frontend in changes.upserts { tables.frontends.upsert(frontend) }
            }
        }
        apply(
            merger.update(
                try changes(
                    service("a", ip: "10.96.0.1") + service("b", ip: "10.96.0.2"), cluster: 1)))
        let before = store.snapshot().frontends
        #expect(before.rows == merger.frontends)
        apply(
            merger.update(
                try changes(slice(name: "b", service: "b", endpoint("10.1.0.1")), cluster: 1)))
        let after = store.snapshot().frontends
        let changed = after.changedKeys(since: before.revision)
        #expect(changed?.map { after[$0]?.service.name } == ["b"])
    }

    @Test("of a service that stays on the client's node has this node's backends only")
    func nodeLocal() throws {
        let yaml =
            service(annotations: global, more: "internalTrafficPolicy: Local")
            + slice(endpoint("10.1.0.1", node: "n"), endpoint("10.1.0.2", node: "m"))
        var merger = ServiceMerger(own: cluster(1), node: NodeID(cluster: cluster(1), name: "m"))
        _ = merger.update(try changes(yaml, cluster: 1))
        _ = merger.update(
            try changes(service(annotations: global) + slice(endpoint("10.2.0.1")), cluster: 2))
        #expect(
            merger.frontends.map(describe) == ["10.96.0.1:80/TCP http | 0.1*255 10.1.0.2:8080@m"])
    }

    @Test("of a derived service has the backends of all clusters that export what it stands for")
    func derivedService() throws {
        let derived = derivedEcho(ports: "[{name: http, port: 80}]")
        var merger = ServiceMerger(own: cluster(1))
        // Before anybody exports anything it has no backend, and the own cluster's don't count.
        _ = merger.update(
            try changes(service() + slice(endpoint("10.1.0.1")) + derived, cluster: 1))
        #expect(
            merger.frontends.map(describe) == [
                "10.96.0.1:80/TCP http | 0.1*255 10.1.0.1:8080@n", "10.96.9.9:80/TCP http",
            ])
        _ = merger.update(
            try changes(service() + slice(endpoint("10.2.0.1")) + export, cluster: 2))
        #expect(
            merger.frontends.map(describe).last
                == "10.96.9.9:80/TCP http | 0.2*255 10.2.0.1:8080@n")
        _ = merger.update(
            try changes(service() + slice(endpoint("10.1.0.1")) + derived + export, cluster: 1))
        #expect(
            merger.frontends.map(describe).last
                == "10.96.9.9:80/TCP http | 0.1*255 10.1.0.1:8080@n | 0.2*255 10.2.0.1:8080@n")
        #expect(merger.problems.isEmpty)
        _ = merger.update(
            ServiceChange(
                cluster: cluster(1),
                .serviceDeleted(ObjectName(namespace: "default", name: "derived-1"))))
        #expect(merger.frontends.count == 1)
    }

    @Test(
        "of a derived service leads to clusters that have the port, by its number, and no headless one's"
    )
    func derivedPorts() throws {
        let derived = derivedEcho(ports: "[{name: tcp-80, port: 80}, {name: web, port: 81}]")
        var merger = ServiceMerger(own: cluster(1))
        for (number, yaml) in [
            (1, derived),
            (
                2,
                service(ports: "[{port: 80}]")
                    + slice(ports: "[{port: 8080}]", endpoint("10.2.0.1"))
            ),
            (
                3,
                service(ports: "[{name: web, port: 81}]")
                    + slice(ports: "[{name: web, port: 8081}]", endpoint("10.3.0.1"))
            ),
            (
                4,
                service(ip: "None", ports: "[{port: 80}]")
                    + slice(ports: "[{port: 8080}]", endpoint("10.4.0.1"))
            ),
        ] {
            _ = merger.update(
                try changes(yaml + (number == 1 ? "" : export), cluster: UInt16(number)))
        }
        #expect(
            merger.frontends.map(describe) == [
                "10.96.9.9:80/TCP tcp-80 | 0.2*255 10.2.0.1:8080@n",
                "10.96.9.9:81/TCP web | 0.3*255 10.3.0.1:8081@n",
            ])
    }
}

/// A service that Weft made for the import of `echo`.
private func derivedEcho(ports: String) -> String {
    """
    ---
    apiVersion: v1
    kind: Service
    metadata:
      name: derived-1
      labels:
        multicluster.kubernetes.io/service-name: echo
        app.kubernetes.io/managed-by: weft
    spec: {clusterIP: 10.96.9.9, ports: \(ports)}

    """
}

private let export = """
    ---
    apiVersion: multicluster.x-k8s.io/v1beta1
    kind: ServiceExport
    metadata: {name: echo}

    """
