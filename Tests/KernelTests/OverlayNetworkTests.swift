// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import KernelTestSupport
import MeshModel
import Netlink
import Testing

/// A node of cluster 1 and one of cluster 2 with an endpoint each, and the overlay between them.
private final class Overlay {
    let near: World
    let far: World
    let client: NetworkNamespace
    let server: NetworkNamespace
    /// The far node's, which would be gone with the last who knows it.
    private let there: NetworkNamespace
    private let attachments: [Site.Attachment]

    /// On a thread in the near node's namespace.
    init(_ family: Family, configure: (inout weft_config) -> Void) throws {
        let here = try NetworkNamespace.current()
        let there = try inOwnNamespace { try NetworkNamespace.current() }
        let client = try inOwnNamespace { try NetworkNamespace.current() }
        let server = try inOwnNamespace { try NetworkNamespace.current() }
        _ = try Site.lay(
            "underlay", from: World.outerSource, to: World.outer(cluster: 2), in: there)
        let (near, nearLinks) = try here.run {
            try Self.node(family, family.client, client, configure)
        }
        let (far, farLinks) = try there.run {
            try Self.node(family, family.remote, server) {
                configure(&$0)
                $0.cluster = 2
                $0.outer_source = weft_address(World.outer(cluster: 2))
            }
        }
        // The far node's picture of the near one.
        far.tunnels[10] = weft_tunnel(
            address: weft_address(World.outerSource), cluster: 1, mtu: 0, pad: 0)
        far.setNode(10, .up)
        try far.outerSources.update(
            weft_address(World.outerSource), weft_outer_source(node: 10, cluster: 1, pad: 0))
        var row = weft_endpoint()
        row.identity = World.identity(of: family.client)
        row.node = 10
        try far.endpoints.update(weft_address(family.client), row)
        self.near = near
        self.far = far
        self.client = client
        self.server = server
        self.there = there
        attachments = nearLinks + farLinks
    }

    /// A node with the endpoint at `address`, on a thread in its namespace.
    private static func node(
        _ family: Family, _ address: Address, _ endpoint: NetworkNamespace,
        _ configure: (inout weft_config) -> Void
    ) throws -> (World, [Site.Attachment]) {
        var routes = try RouteSocket()
        try routes.createVXLAN(VXLANDevice(name: "overlay", port: 4789))
        let device = try #require(try routes.link(named: "overlay"))
        try routes.update(link: device.index, LinkChange(isUp: true))
        let interface = try Site.lay(
            "endpoint", from: family.gateway, to: address, in: endpoint, mtu: 1450)
        let world = try World(["weft_from_endpoint", "weft_from_overlay"]) {
            configure(&$0)
            $0.overlay_ifindex = device.index
        }
        var inside = try RouteSocket(in: endpoint)
        let link = try #require(try inside.link(named: "endpoint"))
        let mac = try #require(link.hardwareAddress).bytes
        var row = weft_endpoint()
        row.identity = World.identity(of: address)
        row.ifindex = interface
        row.flags = UInt16(WEFT_ENDPOINT_LOCAL.rawValue)
        row.mac_low = mac.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
        row.mac_high = mac.suffix(2).reversed().reduce(0) { $0 << 8 | UInt16($1) }
        try world.endpoints.update(weft_address(address), row)
        return (
            world,
            [
                Site.Attachment(
                    try world.object.program(named: "weft_from_endpoint").attach(
                        toInterface: interface, .ingress)),
                Site.Attachment(
                    try world.object.program(named: "weft_from_overlay").attach(
                        toInterface: device.index, .ingress)),
            ]
        )
    }
}

@Suite("Two nodes and the overlay between them", .tags(.kernel))
struct OverlayNetworkTests {
    @Test("carry datagrams that must be cut, there and back", arguments: Family.allCases)
    func fragments(family: Family) throws {
        try inOwnNamespace {
            let overlay = try Overlay(family) { _ in }
            for bytes in [3, 6000] {
                try converse(
                    .datagram, from: overlay.client, to: family.remote, in: overlay.server,
                    bytes: bytes)
            }
            try converse(.stream, from: overlay.client, to: family.remote, in: overlay.server)
            for world in [overlay.near, overlay.far] {
                let cut = try world.openConnections().filter { $0.opener_packets > 4 }
                #expect(cut.contains { $0.replier_packets > 4 })
                for reason in 1..<WEFT_DROP_END.rawValue {
                    #expect(try world.count(weft_drop_reason(reason)) == 0)
                }
            }
        }
    }

    @Test("tell the sender of a denial at the far end", arguments: Family.allCases)
    func rejected(family: Family) throws {
        try inOwnNamespace {
            let overlay = try Overlay(family) {
                $0.denied_answer = WEFT_DENIED_REJECT.rawValue
            }
            var row = try #require(
                try overlay.far.endpoints.lookup(weft_address(family.remote)))
            row.policy_set = 7
            try overlay.far.endpoints.update(weft_address(family.remote), row)
            try overlay.client.run { try expectRejection(by: family.remote) }
            #expect(try overlay.far.count(WEFT_COUNTER_DENIALS_ANSWERED) >= 2)
            #expect(try overlay.near.count(WEFT_DROP_POLICY_DENIED) == 0)
            #expect(try overlay.near.count(WEFT_COUNTER_DENIALS_HEARD) >= 1)
            #expect(try overlay.near.evidence.count() == 0)
        }
    }

    @Test(
        "keep a denial at the far end from its sender, and from the evidence",
        arguments: Family.allCases)
    func signalled(family: Family) throws {
        try inOwnNamespace {
            let overlay = try Overlay(family) { _ in }
            var row = try #require(
                try overlay.far.endpoints.lookup(weft_address(family.remote)))
            row.policy_set = 7
            try overlay.far.endpoints.update(weft_address(family.remote), row)
            // Long enough for a second SYN.
            let attempt = ConnectionAttempt(
                from: overlay.client, to: try #require(NetworkAddress(bytes: wire(family.remote))),
                port: 9)
            let conclusions = ConnectionAttempt.wait(for: [attempt], timeout: .milliseconds(1500))
            #expect(conclusions.map(\.outcome) == [.silent])
            let signalled = try overlay.far.count(WEFT_COUNTER_DENIALS_SIGNALLED)
            #expect(signalled >= 2)
            #expect(try overlay.near.count(WEFT_COUNTER_DENIALS_HEARD) == signalled)
            #expect(try overlay.near.evidence.count() == 0)
            let flow = try #require(try overlay.near.openConnections().first)
            #expect(flow.flags & WEFT_CONNECTION_DENIED_AFAR.rawValue != 0)
        }
    }
}
