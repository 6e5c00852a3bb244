// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshModel
import Netlink
import Testing

/// A TCP connection from the node's namespace into a workload's.
struct Connection {
    let client: Int32
    let server: Int32
    private let listener: Int32

    init(from node: NetworkNamespace, to path: String, _ address: Address) throws {
        let workload = try NetworkNamespace(path: path)
        var target = sockaddr_in6()
        target.sin6_family = sa_family_t(AF_INET6)
        let (listener, port) = try workload.run { try Self.listen() }
        target.sin6_port = port
        withUnsafeMutableBytes(of: &target.sin6_addr) { $0.copyBytes(from: address.bytes) }
        self.listener = listener
        let client = try node.run { socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0) }
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(
            client, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let connected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(client, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        try #require(connected == 0, "connect to \(address): \(String(cString: strerror(errno)))")
        self.client = client
        server = accept(listener, nil, nil)
    }

    func close() { for descriptor in [client, server, listener] { _ = Glibc.close(descriptor) } }

    /// - Returns: a listening socket of both families and its port, network byte order.
    private static func listen() throws -> (Int32, in_port_t) {
        let listener = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        try #require(Glibc.listen(listener, 8) == 0)
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let named = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(listener, $0, &length)
            }
        }
        try #require(named == 0)
        return (listener, address.sin6_port)
    }
}
