// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Netlink

@Suite(.tags(.kernel)) struct ConnectionAttemptTests {
    private static let blackHole = NetworkAddress("192.0.2.1")!

    /// A namespace with loopback up, and a device that swallows what is sent to 192.0.2.0/24.
    private func prepare(_ namespace: NetworkNamespace) throws {
        var socket = try RouteSocket(in: namespace)
        let loopback = try #require(try socket.link(named: "lo"))
        try socket.update(link: loopback.index, LinkChange(isUp: true))
        try socket.createVeth(VethEnd(name: "hole"), VethEnd(name: "end"))
        let end = try #require(try socket.link(named: "end"))
        try socket.update(link: end.index, LinkChange(isUp: true))
        let hole = try #require(try socket.link(named: "hole"))
        try socket.update(link: hole.index, LinkChange(isUp: true))
        try socket.add(
            InterfaceAddress(
                interface: hole.index, address: NetworkAddress("192.0.2.2")!, prefixLength: 24))
        try socket.replace(
            Neighbour(
                interface: hole.index, address: Self.blackHole,
                hardwareAddress: HardwareAddress("02:00:00:00:00:01")!))
    }

    @Test("ends as a client's own connection would: accepted, refused, silent, without a route")
    func outcomes() throws {
        try withNamespaces(2) { namespaces in
            let namespace = namespaces[0]
            try prepare(namespace)
            let listeners = try namespace.run {
                [try Listener(AF_INET), try Listener(AF_INET6)]
            }
            defer { for listener in listeners { listener.close() } }
            let closed = try namespace.run {
                let listener = try Listener(AF_INET)
                listener.close()
                return listener.port
            }
            func attempt(_ address: NetworkAddress, _ port: UInt16) -> ConnectionAttempt {
                ConnectionAttempt(from: namespace, to: address, port: port)
            }
            let (ipv4, ipv6) = (NetworkAddress("127.0.0.1")!, NetworkAddress("::1")!)
            let conclusions = ConnectionAttempt.wait(
                for: [
                    attempt(ipv4, listeners[0].port), attempt(ipv6, listeners[1].port),
                    attempt(ipv4, closed), attempt(ipv6, closed), attempt(Self.blackHole, 80),
                    attempt(NetworkAddress("198.51.100.1")!, 80),
                    // The same address in another namespace is nobody: loopback is down there.
                    ConnectionAttempt(from: namespaces[1], to: ipv4, port: listeners[0].port),
                ], timeout: .milliseconds(500))
            #expect(
                conclusions.map(\.outcome) == [
                    .connected, .connected, .refused, .refused, .silent, .unreachable, .unreachable,
                ])
            // Where a connection was begun, this end is known.
            #expect(conclusions.prefix(2).map(\.localAddress) == [ipv4, ipv6])
            #expect(conclusions.prefix(5).allSatisfy { $0.localPort > 0 })
            #expect(conclusions[5].localAddress == nil)
            // Whoever accepted was reset at once.
            for listener in listeners {
                let accepted = listener.accept()
                #expect(accepted >= 0)
                var byte: UInt8 = 0
                #expect(read(accepted, &byte, 1) == -1 && errno == ECONNRESET)
                close(accepted)
            }
        }
    }

    @Test("leaves no socket behind, and waits no longer than it was told")
    func traces() async throws {
        let made = try TestNamespace()
        defer { made.remove() }
        try prepare(made.namespace)
        let before = try openDescriptors()
        let attempts = (0..<16).map { _ in
            ConnectionAttempt(from: made.namespace, to: Self.blackHole, port: 80)
        }
        let conclusions = await ConnectionAttempt.conclusions(
            of: attempts, timeout: .milliseconds(100))
        #expect(conclusions.map(\.outcome) == Array(repeating: .silent, count: 16))
        #expect(try openDescriptors() == before)
        let none = await ConnectionAttempt.conclusions(of: [], timeout: .seconds(60))
        #expect(none.isEmpty)
    }

    private func openDescriptors() throws -> Int {
        let folder = try #require(opendir("/proc/self/fd"))
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        return count
    }
}

/// A listening socket on a loopback address, in the namespace of the thread that makes it.
private struct Listener: Sendable {
    private let descriptor: Int32
    let port: UInt16

    struct Failed: Error { let errno: Int32 }

    init(_ family: Int32) throws {
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0, listen(descriptor, 4) == 0 else { throw Failed(errno: errno) }
        var name = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size)
            }
        }
        guard result == 0 else { throw Failed(errno: errno) }
        self.descriptor = descriptor
        // Both families have it in the same place.
        port = UInt16(bigEndian: name.sin6_port)
    }

    func accept() -> Int32 { Glibc.accept(descriptor, nil, nil) }
    func close() { _ = Glibc.close(descriptor) }
}
