// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Netlink

@Suite(.tags(.kernel)) struct SocketDestructionTests {
    /// How a client's socket looks and whom it talks to.
    enum Client: CaseIterable {
        case ipv4, ipv6, mapped

        var family: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }
        var target: String {
            switch self {
            case .ipv4: "127.0.0.1"
            case .ipv6: "::1"
            case .mapped: "::ffff:127.0.0.1"
            }
        }
        /// As the diagnostics report it.
        var remote: String { self == .mapped ? "127.0.0.1" : target }
    }

    @Test(
        "a reader that only waits learns that its connection is gone",
        arguments: Client.allCases, ConnectedSocket.Transport.allCases)
    func idleReader(_ client: Client, _ transport: ConnectedSocket.Transport) throws {
        try withNamespaces(1) { namespaces in
            let namespace = namespaces[0]
            try bringUpLoopback(in: namespace)
            let pair = try namespace.run { try SocketPair.make(client, transport) }
            defer { pair.close() }
            let remote = try #require(NetworkAddress(client.remote))
            func isClient(_ socket: ConnectedSocket) -> Bool {
                socket.transport == transport && socket.remote == remote
                    && socket.remotePort == pair.port
            }

            var byte: UInt8 = 0
            #expect(try destroySockets(in: namespace) { _ in false } == 0)
            #expect(recv(pair.client, &byte, 1, Int32(MSG_DONTWAIT)) == -1 && errno == EAGAIN)
            #expect(try destroySockets(in: namespace, isClient) == 1)
            #expect(recv(pair.client, &byte, 1, Int32(MSG_DONTWAIT)) == -1)
            #expect(errno == ECONNABORTED)
            #expect(try destroySockets(in: namespace, isClient) == 0)
        }
    }

    private func bringUpLoopback(in namespace: NetworkNamespace) throws {
        var socket = try RouteSocket(in: namespace)
        let loopback = try #require(try socket.link(named: "lo"))
        try socket.update(link: loopback.index, LinkChange(isUp: true))
    }

    private func destroySockets(
        in namespace: NetworkNamespace, _ matches: (ConnectedSocket) -> Bool
    ) throws -> Int {
        var diagnostics = try SocketDiagnostics(in: namespace)
        return try diagnostics.destroySockets(where: matches)
    }
}

/// A connected client and its server in the namespace of the thread that makes them.
private struct SocketPair: Sendable {
    let client: Int32
    let port: UInt16
    let others: [Int32]

    static func make(
        _ kind: SocketDestructionTests.Client, _ transport: ConnectedSocket.Transport
    ) throws -> SocketPair {
        let type = Int32((transport == .tcp ? SOCK_STREAM : SOCK_DGRAM).rawValue)
        let server = socket(AF_INET6, type, 0)
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        try withSocketAddress(of: &address) { try call(bind(server, $0, $1)) }
        if transport == .tcp { try call(listen(server, 1)) }
        try withSocketAddress(of: &address) {
            var length = $1
            try call(getsockname(server, $0, &length))
        }
        let port = UInt16(bigEndian: address.sin6_port)
        let client = socket(kind.family, type, 0)
        if kind.family == AF_INET {
            var target = sockaddr_in()
            target.sin_family = sa_family_t(AF_INET)
            target.sin_port = port.bigEndian
            inet_pton(AF_INET, kind.target, &target.sin_addr)
            try withSocketAddress(of: &target) { try call(connect(client, $0, $1)) }
        } else {
            inet_pton(AF_INET6, kind.target, &address.sin6_addr)
            try withSocketAddress(of: &address) { try call(connect(client, $0, $1)) }
        }
        let others = transport == .tcp ? [server, accept(server, nil, nil)] : [server]
        return SocketPair(client: client, port: port, others: others)
    }

    func close() { for descriptor in others + [client] { _ = Glibc.close(descriptor) } }

    private static func call(_ result: Int32) throws {
        struct Failed: Error { let errno: Int32 }
        guard result == 0 else { throw Failed(errno: errno) }
    }
}

private func withSocketAddress<Address>(
    of address: inout Address,
    _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) throws -> Void
) throws {
    try withUnsafeMutablePointer(to: &address) {
        try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            try body($0, socklen_t(MemoryLayout<Address>.size))
        }
    }
}
