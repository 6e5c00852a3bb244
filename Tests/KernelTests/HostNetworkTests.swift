// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import KernelTestSupport
import MeshModel
import Netlink
import Testing

/// What test runs can't show: a stack that forwards, offloads, fragments and asks for neighbours.
@Suite("An endpoint, its node and the world on real cables", .tags(.kernel))
struct HostNetworkTests {
    /// Who is where.
    enum Place: String, CaseIterable, Sendable {
        case node
        case outside
    }

    @Test(
        "talk to each other, whoever begins",
        arguments: Family.allCases, [false, true])
    func conversations(family: Family, usesFilters: Bool) throws {
        try inOwnNamespace {
            let site = try Site(family, usesFilters: usesFilters)
            let host = try NetworkNamespace.current()
            for (place, address) in [(host, family.uplink), (site.outside, family.outside)] {
                for kind in [Socket.Kind.stream, .datagram] {
                    try converse(
                        kind, from: place, to: family.client, in: site.endpoint)
                    try converse(kind, from: site.endpoint, to: address, in: place)
                }
            }
            let identities = try site.world.openConnections().map {
                [$0.opener_identity, $0.replier_identity]
            }
            let endpoint = World.identity(of: family.client)
            let host1 = World.identity(cluster: 1, 1)
            for peer in [host1, 2] {
                #expect(identities.filter { $0 == [peer, endpoint] }.count == 2)
                #expect(identities.filter { $0 == [endpoint, peer] }.count == 2)
            }
            for entry in try site.world.openConnections() {
                #expect(entry.flags & WEFT_CONNECTION_HOST.rawValue != 0)
                #expect(entry.opener_packets > 0 && entry.replier_packets > 0)
            }
            for reason in 1..<WEFT_DROP_END.rawValue {
                #expect(try site.world.count(weft_drop_reason(reason)) == 0)
            }
        }
    }

    @Test("exchange datagrams that must be cut", arguments: Family.allCases)
    func fragments(family: Family) throws {
        try inOwnNamespace {
            let site = try Site(family)
            let host = try NetworkNamespace.current()
            for (place, address) in [(host, family.uplink), (site.outside, family.outside)] {
                try converse(
                    .datagram, from: place, to: family.client, in: site.endpoint, bytes: 6000)
                try converse(
                    .datagram, from: site.endpoint, to: address, in: place, bytes: 6000)
            }
            for entry in try site.world.openConnections() {
                #expect(entry.opener_packets > 4 && entry.replier_packets > 4, "it was cut")
            }
            #expect(try site.world.count(WEFT_DROP_FRAGMENT) == 0)
        }
    }

    @Test("don't when policies say so, and nothing is left of it", arguments: Family.allCases)
    func denied(family: Family) throws {
        try inOwnNamespace {
            let site = try Site(family)
            var row = try #require(
                try site.world.endpoints.lookup(weft_address(family.client)))
            row.policy_set = 7
            try site.world.endpoints.update(weft_address(family.client), row)
            let host = try NetworkNamespace.current()
            for (from, to) in [
                (host, family.client), (site.outside, family.client),
                (site.endpoint, family.uplink), (site.endpoint, family.outside),
            ] {
                let before = try site.world.count(WEFT_DROP_POLICY_DENIED)
                try from.run {
                    let socket = try Socket(.datagram, ipv6: family == .ipv6)
                    // As the datapath's own answers have it: no way past from-endpoint.
                    try socket.mark(0x7765_6674)
                    try socket.send([1], to: Peer(to, 9))
                }
                // A veth pair hands packets over before sendto() returns.
                #expect(try site.world.count(WEFT_DROP_POLICY_DENIED) == before + 1)
            }
        }
    }

    @Test(
        "hear of a denial at once where answers are wanted",
        arguments: Family.allCases, [false, true])
    func rejected(family: Family, usesFilters: Bool) throws {
        try inOwnNamespace {
            let site = try Site(family, usesFilters: usesFilters) {
                $0.denied_answer = WEFT_DENIED_REJECT.rawValue
            }
            var row = try #require(
                try site.world.endpoints.lookup(weft_address(family.client)))
            row.policy_set = 7
            try site.world.endpoints.update(weft_address(family.client), row)
            let host = try NetworkNamespace.current()
            for (from, to) in [
                (host, family.client), (site.outside, family.client),
                (site.endpoint, family.uplink), (site.endpoint, family.outside),
            ] {
                try from.run { try expectRejection(by: to) }
            }
            // A busy machine may send a SYN again before it looks at the answer.
            #expect(try site.world.count(WEFT_COUNTER_DENIALS_ANSWERED) >= 8)
        }
    }
}

/// Opens a connection, or asks and hears an answer.
func converse(
    _ kind: Socket.Kind, from here: NetworkNamespace, to address: Address,
    in there: NetworkNamespace, bytes: Int = 3
) throws {
    let question = (0..<bytes).map { UInt8(truncatingIfNeeded: $0) }
    try there.run {
        let server = try Socket.server(kind, at: address)
        let service = try server.name()
        try here.run {
            let client = try Socket(kind, ipv6: !address.isIPv4)
            try client.connect(to: service)
            if kind == .stream {
                #expect(try server.accept())
                return
            }
            try client.send(question)
            let asked = try server.receive()
            #expect(asked.bytes == question)
            let answer = Array(question.reversed())
            try server.send(answer, to: asked.from)
            #expect(try client.receive().bytes == answer)
        }
    }
}

/// On a thread in the sender's namespace.
func expectRejection(by address: Address) throws {
    let stream = try Socket(.stream, ipv6: !address.isIPv4)
    let reset = #expect(throws: SystemFailure.self) { try stream.connect(to: Peer(address, 9)) }
    #expect(reset?.number == ECONNREFUSED)
    let datagram = try Socket(.datagram, ipv6: !address.isIPv4)
    try datagram.connect(to: Peer(address, 9))
    try datagram.send([1])
    let prohibited = #expect(throws: SystemFailure.self) { try datagram.receive() }
    #expect(prohibited?.number == (address.isIPv4 ? EHOSTUNREACH : EACCES))
}
