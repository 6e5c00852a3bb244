// SPDX-License-Identifier: Apache-2.0

import Glibc
import KernelTestSupport
import MeshModel

/// An Internet socket, closed at the end of its scope. Waits two seconds at most.
struct Socket: ~Copyable {
    enum Kind: Sendable {
        case stream
        case datagram

        var protocolNumber: UInt8 { self == .stream ? IPProtocol.tcp : IPProtocol.udp }
    }

    private let descriptor: Int32
    private let isIPv6: Bool

    init(_ kind: Kind, ipv6: Bool) throws {
        let type = kind == .stream ? SOCK_STREAM : SOCK_DGRAM
        descriptor = socket(ipv6 ? AF_INET6 : AF_INET, Int32(type.rawValue), 0)
        isIPv6 = ipv6
        try limitWaiting()
    }

    /// A socket bound to an address, on a port that the kernel chooses; listening if it is a stream.
    static func server(_ kind: Kind, at address: Address) throws -> Socket {
        let socket = try Socket(kind, ipv6: !address.isIPv4)
        try socket.serve(kind, at: address)
        return socket
    }

    private func serve(_ kind: Kind, at address: Address) throws {
        try withAddress(Peer(address, 0)) { try check(bind(descriptor, $0, $1)) }
        if kind == .stream { try check(listen(descriptor, 8)) }
    }

    deinit { close(descriptor) }

    private func limitWaiting() throws {
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        try check(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size))
        try check(setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size))
    }

    /// Gives every packet the number as its skb->mark.
    func mark(_ number: UInt32) throws {
        var number = number
        try check(setsockopt(descriptor, SOL_SOCKET, SO_MARK, &number, 4))
    }

    func connect(to peer: Peer) throws {
        try withAddress(peer) { try check(Glibc.connect(descriptor, $0, $1)) }
    }

    func send(_ bytes: [UInt8]) throws {
        try check(Int32(Glibc.send(descriptor, bytes, bytes.count, 0)))
    }

    func send(_ bytes: [UInt8], to peer: Peer) throws {
        try withAddress(peer) {
            try check(Int32(sendto(descriptor, bytes, bytes.count, 0, $0, $1)))
        }
    }

    /// Whether somebody connected; the connection is closed.
    func accept() throws -> Bool {
        let connection = Glibc.accept(descriptor, nil, nil)
        try check(connection)
        return close(connection) == 0
    }

    func receive() throws -> (bytes: [UInt8], from: Peer) {
        var bytes = [UInt8](repeating: 0, count: 9000)
        var count = 0
        let from = try readAddress { address, length in
            count = recvfrom(descriptor, &bytes, bytes.count, 0, address, length)
            return Int32(count)
        }
        return (Array(bytes.prefix(count)), from)
    }

    func name() throws -> Peer { try readAddress { getsockname(descriptor, $0, $1) } }
    func peerName() throws -> Peer { try readAddress { getpeername(descriptor, $0, $1) } }

    private func check(_ result: Int32) throws {
        guard result >= 0 else { throw SystemFailure(errno) }
    }

    private func withAddress(
        _ peer: Peer, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
    ) throws {
        let bytes: [UInt8] =
            isIPv6
            ? [UInt8(AF_INET6), 0] + bigEndian(peer.port) + [0, 0, 0, 0] + peer.address.bytes
                + [0, 0, 0, 0]
            : [UInt8(AF_INET), 0] + bigEndian(peer.port) + wire(peer.address)
                + [UInt8](repeating: 0, count: 8)
        try bytes.withUnsafeBytes {
            try body(
                $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
    }

    private func readAddress(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) throws -> Peer {
        var bytes = [UInt8](repeating: 0, count: 28)
        var length = socklen_t(bytes.count)
        let result = bytes.withUnsafeMutableBytes {
            body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        try check(result)
        return Peer(
            Address(bytes: isIPv6 ? bytes[8..<24] : bytes[4..<8])!,
            UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
    }
}
