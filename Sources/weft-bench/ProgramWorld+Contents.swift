// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import MeshModel

// Packets and tables.
extension ProgramWorld {
    /// 1,000 bytes of TCP in the middle of a connection.
    static func packet(_ direction: Direction) -> [UInt8] {
        let (source, destination) =
            direction == .out ? (localAddress, remoteAddress) : (remoteAddress, localAddress)
        let segment: [UInt8] =
            [0x40, 0, 0, 80].rotated(by: direction == .out ? 0 : 2)
            + [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]
            + [UInt8](repeating: 0x77, count: 1000)
        let length = UInt16(20 + segment.count)
        var header: [UInt8] =
            [0x45, 0, UInt8(length >> 8), UInt8(length & 0xff), 0, 0, 0x40, 0, hopLimit, 6, 0, 0]
        header += source.bytes.suffix(4) + destination.bytes.suffix(4)
        var sum = stride(from: 0, to: 20, by: 2).reduce(UInt32(0)) {
            $0 + (UInt32(header[$1]) << 8 | UInt32(header[$1 + 1]))
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        let checksum = ~UInt16(sum)
        header[10] = UInt8(checksum >> 8)
        header[11] = UInt8(checksum & 0xff)
        let ethernet: [UInt8] = [0x0a, 2, 2, 2, 2, 2, 0x0a, 1, 1, 1, 1, 1, 8, 0]
        return ethernet + header + segment
    }

    static func identity(cluster: UInt32) -> UInt32 { cluster << 20 | 256 }

    static let configuration: weft_config = {
        var config = weft_config()
        config.outer_source = weft_address(Address(ipv4: 0xc000_0201))
        config.cluster = 1
        config.underlay_mtu = 1500
        config.overlay_ifindex = loopback
        config.initial_identity = 1 << 20 | 5
        config.flow_events = 1
        config.tcp_idle_nanoseconds = 3_600_000_000_000
        config.tcp_opening_nanoseconds = 3_600_000_000_000
        config.other_idle_nanoseconds = 60_000_000_000
        return config
    }()

    static func populate(_ object: borrowing LoadedObject) throws {
        let up = LivenessWord(verdict: .up, weight: 255, generation: 1).rawValue
        let clusters = try MappedArray<UInt64>(object.map(named: "weft_clusters"))
        let nodes = try MappedArray<UInt64>(object.map(named: "weft_nodes"))
        for index in 1...2 { clusters.publish(up, at: index) }
        for index in 0...1 { nodes.publish(up, at: index) }
        let outer = weft_address(Address(ipv4: outerAddress))
        let tunnels = try MappedArray<weft_tunnel>(object.map(named: "weft_tunnels"))
        tunnels[1] = weft_tunnel(address: outer, cluster: 2, mtu: 0, pad: 0)
        try HashMap<weft_address, weft_outer_source>(object.map(named: "weft_outer_sources"))
            .update(outer, weft_outer_source(node: 1, cluster: 2, pad: 0))
        let endpoints = try HashMap<weft_address, weft_endpoint>(
            object.map(named: "weft_endpoints"))
        try endpoints.update(
            weft_address(localAddress),
            weft_endpoint(
                identity: identity(cluster: 1), node: 0, policy_set: 0, ifindex: loopback,
                mac_low: 0x0101_010a, mac_high: 0x0101, flags: UInt16(WEFT_ENDPOINT_LOCAL.rawValue))
        )
        try endpoints.update(
            weft_address(remoteAddress),
            weft_endpoint(
                identity: identity(cluster: 2), node: 1, policy_set: 0, ifindex: 0, mac_low: 0,
                mac_high: 0, flags: 0))
    }
}

extension weft_address {
    init(_ address: Address) {
        self.init(
            word0: UInt32(truncatingIfNeeded: address.high >> 32).bigEndian,
            word1: UInt32(truncatingIfNeeded: address.high).bigEndian,
            word2: UInt32(truncatingIfNeeded: address.low >> 32).bigEndian,
            word3: UInt32(truncatingIfNeeded: address.low).bigEndian)
    }
}

extension [UInt8] {
    fileprivate func rotated(by count: Int) -> [UInt8] { Array(self[count...] + self[..<count]) }
}
