// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import Testing

@testable import MeshLab

@Suite struct ConnectivityPlanTests {
    private static func endpoint(
        _ cluster: String, _ node: String, _ role: ConnectivityEndpoint.Role,
        _ addresses: [String] = ["10.1.0.2", "fd00::2"]
    ) -> ConnectivityEndpoint {
        let site = ConnectivitySite(
            cluster: cluster, node: node, agent: AdminClient(socketPath: "/none"),
            namespacePrefix: "t.", cgroup: "/none", manifests: nil, roles: [role])
        var endpoint = ConnectivityEndpoint(site: site, role: role)
        endpoint.addresses = addresses
        return endpoint
    }

    private static func check(
        _ expectation: ConnectivityCheck.Expectation, _ url: String = "http://10.0.0.1/"
    ) -> ConnectivityCheck {
        ConnectivityCheck(
            group: "", name: "", client: endpoint("alpha", "a-1", .client), server: nil, url: url,
            count: 3, expectation: expectation)
    }

    private static func record(
        _ outcome: LoadRecord.Outcome, _ cluster: String? = nil, _ endpoint: String? = nil
    ) -> LoadRecord {
        LoadRecord(
            kind: .request, connection: 0, start: 0, end: 1, outcome: outcome, cluster: cluster,
            endpoint: endpoint)
    }

    @Test("every pair is asked over both families and transports, in one packet and in many")
    func direct() throws {
        let endpoints = [
            Self.endpoint("alpha", "a-1", .client), Self.endpoint("alpha", "a-1", .server(1)),
            Self.endpoint("alpha", "a-2", .server(2)),
            Self.endpoint("beta", "b-1", .server(1), ["10.2.0.2"]),
        ]
        let plan = ConnectivityPlan(clusters: ["alpha", "beta"], endpoints: endpoints, mtu: 1450)
        let checks = plan.direct
        var groups: [String: Int] = [:]
        for check in checks { groups[check.group, default: 0] += 1 }
        #expect(
            groups == [
                "alpha/client -> alpha/server-1 (same node)": 10,
                "alpha/client -> alpha/server-2 (another node)": 10,
                "alpha/client -> beta/server-1 (another cluster)": 5,
            ])
        let full = try #require(checks.first { $0.name == "UDP, a full packet over IPv4" })
        // 1450 without the headers of IP and UDP, and without the 15 bytes of who answers.
        #expect(full.url == "udp://10.1.0.2:8080/bytes/1407")
        for check in checks { _ = try LoadTarget(url: check.url) }
    }

    @Test("of many clusters each asks itself and its next three")
    func ring() {
        let names = ["a", "b", "c", "d", "e"]
        let endpoints = names.flatMap {
            [Self.endpoint($0, $0, .client), Self.endpoint($0, $0, .server(1), ["10.1.0.2"])]
        }
        let plan = ConnectivityPlan(clusters: names, endpoints: endpoints, mtu: 1450)
        let asked = Set(
            plan.direct.filter { $0.client.cluster == "d" }.compactMap(\.server?.cluster))
        #expect(asked == ["d", "e", "a", "b"])
    }

    @Test(
        "an answer is judged by who gave it, a lost datagram is forgiven, a lost connection isn't")
    func judgement() {
        let answer = Self.check(.answer(from: "alpha/server-1"))
        let good = Self.record(.ok, "alpha", "server-1")
        #expect(answer.objection(to: [good, good]) == nil)
        #expect(answer.objection(to: []) == "nothing was sent")
        #expect(
            answer.objection(to: [good, Self.record(.timeout)])
                == "1 of 2 got no answer: no answer in time")
        #expect(answer.objection(to: [Self.record(.ok, "beta", "server-1")]) != nil)
        let datagrams = Self.check(.answer(from: "alpha/server-1"), "udp://10.0.0.1:7")
        let lost = Self.record(.timeout)
        #expect(datagrams.objection(to: [good, lost, good]) == nil)
        #expect(datagrams.objection(to: [good, lost, lost]) != nil)
    }

    @Test("a service is answered by all of its clusters and by no other, a denial by nobody")
    func clusters() {
        let service = Self.check(.answers(from: ["alpha", "beta"]))
        let alpha = Self.record(.ok, "alpha", "server-1")
        let beta = Self.record(.ok, "beta", "server-1")
        #expect(service.objection(to: [alpha, beta]) == nil)
        #expect(service.objection(to: [alpha]) == "nobody answered in beta")
        #expect(
            service.objection(to: [alpha, beta, Self.record(.ok, "gamma", "x")])
                == "gamma answered, too")
        let denial = Self.check(.denial)
        #expect(denial.objection(to: [Self.record(.timeout)]) == nil)
        #expect(denial.objection(to: [Self.record(.refused)]) == nil)
        #expect(denial.objection(to: [alpha]) != nil)
    }

    @Test("a service takes the highest address that is free, or there is none")
    func addresses() throws {
        let cluster = try LabPlanner.plan(.builtIn, name: "demo").clusters[0]
        let addresses = try cluster.connectivityAddresses(
            for: ["one", "two"], inUse: ["10.201.0.250", "fd00:201::f9"])
        #expect(
            addresses == [
                "one": ["10.201.0.249", "fd00:201::fa"], "two": ["10.201.0.248", "fd00:201::f8"],
            ])
        let taken = Set((1...249).map { "10.201.0.\($0)" })
        #expect(throws: LabError.self) {
            _ = try cluster.connectivityAddresses(for: ["one", "two"], inUse: taken)
        }
    }

    @Test("datagrams have sizes that exist")
    func datagrams() throws {
        #expect(try LoadTarget(url: "udp://10.0.0.1:7/bytes/4000").datagramBytes == 4000)
        #expect(try LoadTarget(url: "udp://10.0.0.1:7").datagramBytes == 4)
        for size in ["3", "65508", "x", ""] {
            #expect(throws: LabError.self) {
                _ = try LoadTarget(url: "udp://10.0.0.1:7/bytes/\(size)")
            }
        }
    }
}
