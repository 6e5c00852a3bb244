// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import MeshAdmin

@Suite("Filters of flows")
struct FlowFilterTests {
    /// Denied: web-0 of shop in east, from port 40000, to db of data in west at port 5432.
    private static let flow = Flow(
        timeUnixMilliseconds: 1, node: "east/n1", type: .denied, verdict: .denied,
        transport: "TCP",
        source: FlowPeer(
            address: "10.1.0.5", port: 40_000, identity: 1 << 20 | 300, namespace: "shop",
            name: "web-0", cluster: "east", labels: ["app": "web", "tier": "front"]),
        destination: FlowPeer(
            address: "fd00:2::5", port: 5432, identity: 2 << 20 | 256, namespace: "data",
            name: "db-0", cluster: "west", labels: ["app": "db"], service: "data/db"),
        reason: "policy_denied", packets: 0, bytes: 0)
    /// From outside the mesh: nothing is known of its source.
    private static let stranger = Flow(
        timeUnixMilliseconds: 2, type: .opened, verdict: .forwarded, transport: "ICMPv6",
        source: FlowPeer(address: "203.0.113.9", port: 0, identity: 2),
        destination: FlowPeer(address: "10.1.0.5", port: 0, identity: 1 << 20 | 300), packets: 0,
        bytes: 0)

    @Test(
        "let pass what they say",
        arguments: [
            ("", true, true),
            ("namespace=shop", true, false), ("from.namespace=shop", true, false),
            ("to.namespace=shop", false, false), ("!namespace=shop", false, true),
            ("!to.namespace=shop", true, true),
            // Alternatives of one question; each question must hold.
            ("namespace=x namespace=data", true, false),
            ("namespace=shop namespace=x port=80", false, false),
            ("namespace=shop to.port=5432", true, false),
            ("namespace=shop !verdict=denied", false, false),
            ("label=app=web", true, false), ("label=app", true, false),
            ("label=tier=back", false, false), ("to.label=app=web", false, false),
            ("!from.label=app=db", true, true),
            ("cluster=west", true, false), ("from.cluster=west", false, false),
            ("port=5432", true, false), ("port=5000-6000", true, false),
            ("port=0", false, true), ("port=5433-40000", true, false),
            ("address=10.1.0.0/16", true, true), ("from.address=10.1.0.0/16", true, false),
            ("to.address=fd00:2::/64", true, false), ("address=203.0.113.9", false, true),
            ("service=db", true, false), ("service=data/db", true, false),
            ("service=shop/db", false, false), ("from.service=db", false, false),
            ("name=web-0", true, false), ("name=shop/web-0", true, false),
            ("name=data/web-0", false, false),
            ("identity=2097408", true, false), ("identity=2:256", true, false),
            ("identity=2", false, true),
            ("verdict=denied", true, false), ("verdict=forwarded verdict=denied", true, true),
            ("type=opened", false, true), ("protocol=tcp", true, false),
            ("protocol=ICMPv6", false, true), ("reason=policy_denied", true, false),
            ("!reason=policy_denied", false, true), ("node=n1", true, false),
            ("node=east/n1", true, false), ("node=west/n1", false, false),
        ])
    func table(expression: String, flow: Bool, stranger: Bool) throws {
        let filter = try FlowFilter(expression)
        #expect(filter.matches(Self.flow) == flow)
        #expect(filter.matches(Self.stranger) == stranger)
        #expect(try FlowFilter(filter.expression) == filter)
    }

    @Test(
        "that make no sense are refused in one sentence",
        arguments: [
            ("shop", "'shop' is no term of a filter: it has to be FIELD=VALUE"),
            ("!", "'!' is no term of a filter: it has to be FIELD=VALUE"),
            (
                "colour=red",
                "flows have no 'colour': they have namespace, name, label, cluster, address, port, "
                    + "identity, service, verdict, type, protocol, reason, node"
            ),
            (
                "via.port=1", "'via.port=1' names no side of a flow: from. and to. are there"
            ),
            (
                "to.verdict=denied",
                "'to.verdict=denied' is wrong: verdict is the whole flow's, not a side's"
            ),
            ("port=x", "port=x is wrong: it needs a port or a range, as 8000-8999"),
            ("port=9-8", "port=9-8 is wrong: it needs a port or a range, as 8000-8999"),
            ("port=65536", "port=65536 is wrong: it needs a port or a range, as 8000-8999"),
            ("port=1-2-3", "port=1-2-3 is wrong: it needs a port or a range, as 8000-8999"),
            (
                "verdict=maybe",
                "verdict=maybe is wrong: it needs one of forwarded, denied, dropped"
            ),
            ("namespace=", "namespace= is wrong: it needs a name of a-z, 0-9 and -"),
            ("cluster=West", "cluster=West is wrong: it needs a name of a-z, 0-9 and -"),
            ("name=a/b/c", "name=a/b/c is wrong: it needs NAME or NAMESPACE/NAME"),
            ("service=/x", "service=/x is wrong: it needs NAME or NAMESPACE/NAME"),
            ("label==x", "label==x is wrong: it needs KEY or KEY=VALUE"),
            ("address=10.1", "address=10.1 is wrong: it needs an IP address or a prefix"),
            (
                "identity=5000:1",
                "identity=5000:1 is wrong: it needs a number, or CLUSTER:NUMBER as the tables show it"
            ),
            ("node=a/b/c", "node=a/b/c is wrong: it needs NODE or CLUSTER/NODE"),
        ])
    func wrong(expression: String, sentence: String) {
        #expect(throws: FlowFilter.Fault(description: sentence)) {
            try FlowFilter(expression)
        }
    }

    @Test("are no longer than a link and an agent can bear")
    func bounds() throws {
        let terms = Array(repeating: "port=1", count: FlowFilter.termsMaximum)
        _ = try FlowFilter(terms: terms)
        let many = try #require(throws: FlowFilter.Fault.self) {
            try FlowFilter(terms: terms + ["port=1"])
        }
        #expect(many.description == "a filter has 32 terms at most, not 33")
        let long = try #require(throws: FlowFilter.Fault.self) {
            try FlowFilter("label=a=" + String(repeating: "x", count: 4089))
        }
        #expect(long.description == "a filter has 4096 bytes at most, not 4097")
        // A value with a space would be two terms elsewhere.
        #expect(throws: FlowFilter.Fault.self) { try FlowFilter(terms: ["label=a=b c=d"]) }
    }

    @Test("a line of flows says what it is, and reads back")
    func lines() throws {
        let lines: [FlowLine] = [
            .flow(Self.flow),
            .node(FlowNodeNotice(node: "east/n2", state: .unreachable, reason: "no link")),
            .lost(FlowLoss(node: "east/n1", stage: .network, records: 7)),
        ]
        for line in lines {
            let data = try JSONEncoder().encode(line)
            #expect(try JSONDecoder().decode(FlowLine.self, from: data) == line)
        }
        #expect(
            String(decoding: try adminJSON(lines[2]), as: UTF8.self)
                == #"{"node":"east/n1","records":7,"stage":"network","type":"lost"}"#)
    }
}
