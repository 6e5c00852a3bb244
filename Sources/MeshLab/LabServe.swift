// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A small HTTP/1.1 server that says who it is, and a UDP echo on the same port; both families.
///
/// `/` answers `CLUSTER/ENDPOINT`, `/bytes/N` N bytes, `/hold` nothing for as long as the client
/// waits. One thread, `poll(2)`: light beside what is measured.
public final class LabServe {
    public struct Options: Sendable {
        /// Host byte order; 0 takes a free one.
        public var port: UInt16
        public var cluster: String
        public var endpoint: String

        public init(port: UInt16, cluster: String, endpoint: String) {
            self.port = port
            self.cluster = cluster
            self.endpoint = endpoint
        }

        /// Who the lab says this process is.
        public init(port: UInt16) {
            self.init(
                port: port, cluster: variable("WEFT_LAB_CLUSTER"),
                endpoint: variable("WEFT_LAB_ENDPOINT"))
        }
    }

    static let connectionsMax = 16_384
    static let backlog: Int32 = 4096
    static let datagramBytesMax = 65_536

    /// Host byte order.
    public let port: UInt16
    private let who: [UInt8]
    private let listener: OwnedSocket
    private let datagrams: OwnedSocket
    /// 0 is the listener, 1 the UDP socket, from 2 on as `connections`.
    private var waits: [pollfd]
    private var connections: [ServerConnection] = []

    /// - Throws: ``LabError`` if the port is taken.
    public init(_ options: Options) throws(LabError) {
        who = Array("\(options.cluster)/\(options.endpoint)\n".utf8)
        let streams = try OwnedSocket(SOCK_STREAM, options.port)
        guard listen(streams.descriptor, Self.backlog) == 0 else { throw .system("listen") }
        port = try streams.port()
        listener = streams
        datagrams = try OwnedSocket(SOCK_DGRAM, port)
        waits = [
            pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: datagrams.descriptor, events: Int16(POLLIN), revents: 0),
        ]
    }

    deinit {
        for connection in connections { close(connection.descriptor) }
    }

    /// Serves for ever.
    public func run() throws(LabError) -> Never {
        signal(SIGPIPE, SIG_IGN)
        while true { try serveOnce(waitMilliseconds: -1) }
    }

    func serveOnce(waitMilliseconds: Int32) throws(LabError) {
        let ready = poll(&waits, nfds_t(waits.count), waitMilliseconds)
        guard ready >= 0 || errno == EINTR else { throw .system("poll") }
        guard ready > 0 else { return }
        if waits[1].revents != 0 { echo() }
        // Backwards, so that a removal moves only what was looked at.
        for index in connections.indices.reversed() where waits[index + 2].revents != 0 {
            switch connections[index].progress(who: who) {
            case .wantsInput: waits[index + 2].events = Int16(POLLIN)
            case .wantsOutput: waits[index + 2].events = Int16(POLLOUT)
            case .ended: remove(index)
            }
        }
        if waits[0].revents != 0 { acceptAll() }
    }

    private func acceptAll() {
        while connections.count < Self.connectionsMax {
            let descriptor = accept(listener.descriptor, nil, nil)
            // EAGAIN, or a connection that went before it was taken: nothing to serve.
            guard descriptor >= 0 else { return }
            connections.append(ServerConnection(descriptor: descriptor))
            waits.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
    }

    private func remove(_ index: Int) {
        close(connections[index].descriptor)
        connections.swapAt(index, connections.count - 1)
        connections.removeLast()
        waits.swapAt(index + 2, waits.count - 1)
        waits.removeLast()
    }

    /// Answers who we are and what was said.
    private func echo() {
        var buffer = [UInt8](repeating: 0, count: Self.datagramBytesMax)
        var peer = sockaddr_storage()
        while true {
            let count = withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                    let count = recvfrom(
                        datagrams.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT), $0,
                        &length)
                    guard count >= 0 else { return count }
                    let answer = who + buffer[..<count]
                    // A lost answer is the network's to show, as a lost question is.
                    return sendto(
                        datagrams.descriptor, answer, answer.count, Int32(MSG_DONTWAIT), $0, length)
                }
            }
            guard count >= 0 else { return }
        }
    }
}

private func variable(_ name: String) -> String {
    getenv(name).map { String(cString: $0) } ?? "unknown"
}

/// A non-blocking socket of both families on all addresses, closed with its owner.
private final class OwnedSocket {
    let descriptor: Int32

    init(_ type: __socket_type, _ port: UInt16) throws(LabError) {
        let flags = type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        descriptor = socket(AF_INET6, Int32(flags), 0)
        guard descriptor >= 0 else { throw .system("open a socket") }
        var on: Int32 = 1
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        let result = withUnsafePointer(to: &address) { [descriptor] in
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        guard result == 0 else { throw .system("listen on port \(port)") }
    }

    deinit { close(descriptor) }

    /// Host byte order.
    func port() throws(LabError) -> UInt16 {
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        guard result == 0 else { throw .system("ask for the port") }
        return UInt16(bigEndian: address.sin6_port)
    }
}
