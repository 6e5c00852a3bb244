// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// An address and a port, as `10.1.0.2:80` or `[fd00:1::2]:80`.
struct Peer: Hashable, CustomStringConvertible {
    var address: Address
    var port: UInt16

    init(_ address: Address, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    init(_ address: String, _ port: UInt16) { self.init(Address(address)!, port) }

    var description: String { "\(address) \(port)" }
}

struct TCPFlags: OptionSet {
    let rawValue: UInt8
    static let fin = TCPFlags(rawValue: 1)
    static let syn = TCPFlags(rawValue: 2)
    static let rst = TCPFlags(rawValue: 4)
    static let psh = TCPFlags(rawValue: 8)
    static let ack = TCPFlags(rawValue: 16)
}

enum IPProtocol {
    static let icmp: UInt8 = 1
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
    static let fragment: UInt8 = 44
    static let icmpv6: UInt8 = 58
    static let sctp: UInt8 = 132
}

/// MAC addresses that packets of the tests start with.
enum MAC {
    static let workload: [UInt8] = [0x0a, 1, 1, 1, 1, 1]
    static let host: [UInt8] = [0x0a, 2, 2, 2, 2, 2]
}

func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
}

/// The Internet checksum of bytes, of zero length a multiple of two is made (RFC 1071).
func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[index]) << 8
        if index + 1 < bytes.count { sum += UInt32(bytes[index + 1]) }
    }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    return ~UInt16(sum)
}

/// Address bytes as they are on the wire: 4 or 16.
func wire(_ address: Address) -> [UInt8] {
    address.isIPv4 ? Array(address.bytes.suffix(4)) : address.bytes
}

private func pseudoHeader(
    _ source: Address, _ destination: Address, _ transport: UInt8, length: Int
) -> [UInt8] {
    wire(source) + wire(destination)
        + (source.isIPv4
            ? [0, transport] + bigEndian(UInt16(length))
            : bigEndian(UInt32(length)) + [0, 0, 0, transport])
}

/// Puts Ethernet and IP headers before a transport header and payload.
func ipPacket(
    from source: Address, to destination: Address, transport: UInt8, hopLimit: UInt8 = 64,
    fragment: UInt16 = 0x4000, _ payload: [UInt8]
) -> [UInt8] {
    var header: [UInt8]
    if source.isIPv4 {
        header =
            [0x45, 0] + bigEndian(UInt16(20 + payload.count)) + [0, 0] + bigEndian(fragment)
            + [hopLimit, transport, 0, 0] + wire(source) + wire(destination)
        header.replaceSubrange(10..<12, with: bigEndian(checksum(header)))
    } else {
        header =
            [0x60, 0, 0, 0] + bigEndian(UInt16(payload.count)) + [transport, hopLimit]
            + wire(source) + wire(destination)
    }
    return MAC.host + MAC.workload + (source.isIPv4 ? [8, 0] : [0x86, 0xdd]) + header + payload
}

/// A transport segment with its checksum at `offset` filled in.
private func checksummed(
    _ segment: [UInt8], at offset: Int, _ source: Address, _ destination: Address,
    _ transport: UInt8
) -> [UInt8] {
    var segment = segment
    let covered =
        transport == IPProtocol.icmp
        ? [] : pseudoHeader(source, destination, transport, length: segment.count)
    segment.replaceSubrange(
        offset..<offset + 2, with: bigEndian(checksum(covered + segment)))
    return segment
}

func tcp(
    _ source: Peer, _ destination: Peer, _ flags: TCPFlags, sequence: UInt32 = 1000,
    acknowledgement: UInt32 = 0, options: [UInt8] = [], payload: [UInt8] = [], hopLimit: UInt8 = 64
) -> [UInt8] {
    precondition(options.count % 4 == 0)
    let header =
        bigEndian(source.port) + bigEndian(destination.port) + bigEndian(sequence)
        + bigEndian(acknowledgement) + [UInt8(5 + options.count / 4) << 4, flags.rawValue]
        + [0xff, 0xff, 0, 0, 0, 0] + options
    return ipPacket(
        from: source.address, to: destination.address, transport: IPProtocol.tcp,
        hopLimit: hopLimit,
        checksummed(
            header + payload, at: 16, source.address, destination.address, IPProtocol.tcp))
}

func udp(
    _ source: Peer, _ destination: Peer, payload: [UInt8] = [], withChecksum: Bool = true,
    hopLimit: UInt8 = 64
) -> [UInt8] {
    let datagram =
        bigEndian(source.port) + bigEndian(destination.port)
        + bigEndian(UInt16(8 + payload.count)) + [0, 0] + payload
    return ipPacket(
        from: source.address, to: destination.address, transport: IPProtocol.udp,
        hopLimit: hopLimit,
        withChecksum
            ? checksummed(datagram, at: 6, source.address, destination.address, IPProtocol.udp)
            : datagram)
}

/// An SCTP packet of no chunks, without a checksum, which no program looks at.
func sctp(_ source: Peer, _ destination: Peer) -> [UInt8] {
    ipPacket(
        from: source.address, to: destination.address, transport: IPProtocol.sctp,
        bigEndian(source.port) + bigEndian(destination.port) + [0, 0, 0, 0, 0, 0, 0, 0])
}

/// - Parameter rest: the second word of the ICMP header.
func icmp(
    _ source: Address, _ destination: Address, type: UInt8, code: UInt8 = 0, rest: UInt32 = 0,
    payload: [UInt8] = []
) -> [UInt8] {
    let transport = source.isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6
    return ipPacket(
        from: source, to: destination, transport: transport, hopLimit: 255,
        checksummed(
            [type, code, 0, 0] + bigEndian(rest) + payload, at: 2, source, destination, transport))
}

func arp(
    sender: Address, target: Address, operation: UInt8 = 1, mac: [UInt8] = MAC.workload
) -> [UInt8] {
    [UInt8](repeating: 0xff, count: 6) + MAC.workload + [8, 6, 0, 1, 8, 0, 6, 4, 0, operation]
        + mac + wire(sender) + [0, 0, 0, 0, 0, 0] + wire(target)
}

/// What a packet says, and whether its checksums do add up.
struct PacketReading {
    let bytes: [UInt8]
    let source: Address
    let destination: Address
    let hopLimit: UInt8
    let transport: UInt8
    /// Transport header and payload.
    let segment: [UInt8]
    let isNetworkChecksumRight: Bool

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        let network = Array(bytes.dropFirst(14))
        if network[0] >> 4 == 4 {
            let headerLength = Int(network[0] & 15) * 4
            let length = Int(network[2]) << 8 | Int(network[3])
            source = Address(bytes: network[12..<16])!
            destination = Address(bytes: network[16..<20])!
            hopLimit = network[8]
            transport = network[9]
            segment = Array(network[headerLength..<length])
            isNetworkChecksumRight = checksum(Array(network[..<headerLength])) == 0
        } else {
            let length = Int(network[4]) << 8 | Int(network[5])
            source = Address(bytes: network[8..<24])!
            destination = Address(bytes: network[24..<40])!
            hopLimit = network[7]
            transport = network[6]
            segment = Array(network[40..<40 + length])
            isNetworkChecksumRight = true
        }
    }

    var destinationMAC: [UInt8] { Array(bytes[0..<6]) }
    var sourceMAC: [UInt8] { Array(bytes[6..<12]) }
    var from: Peer { Peer(source, number(0)) }
    var to: Peer { Peer(destination, number(2)) }
    var sequence: UInt32 { UInt32(number(4)) << 16 | UInt32(number(6)) }
    var acknowledgement: UInt32 { UInt32(number(8)) << 16 | UInt32(number(10)) }
    var flags: TCPFlags { TCPFlags(rawValue: segment[13]) }
    var icmpType: UInt8 { segment[0] }
    var icmpCode: UInt8 { segment[1] }
    /// The second word of the ICMP header.
    var icmpRest: UInt32 { UInt32(number(4)) << 16 | UInt32(number(6)) }

    /// The packet that an ICMP error quotes, from its IP header on.
    var quoted: [UInt8] { Array(segment.dropFirst(8)) }

    func number(_ offset: Int) -> UInt16 {
        UInt16(segment[offset]) << 8 | UInt16(segment[offset + 1])
    }

    /// The IP header's and the transport's, which a UDP datagram may lack.
    var areChecksumsRight: Bool {
        if transport == IPProtocol.udp, number(6) == 0 { return isNetworkChecksumRight }
        let covered =
            transport == IPProtocol.icmp
            ? [] : pseudoHeader(source, destination, transport, length: segment.count)
        return isNetworkChecksumRight && checksum(covered + segment) == 0
    }
}
