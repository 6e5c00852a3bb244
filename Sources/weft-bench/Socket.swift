// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel

/// A blocking IPv4 TCP socket, closed with its owner.
struct Socket: ~Copyable {
    private let descriptor: Int32

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw failure("open a socket") }
        self.init(owning: descriptor)
    }

    private init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    func listen(port: UInt16) throws {
        set(SOL_SOCKET, SO_REUSEADDR)
        let bound = withAddress(0, port) { bind(descriptor, $0, $1) }
        guard bound == 0, Glibc.listen(descriptor, 1024) == 0 else {
            throw failure("listen on port \(port)")
        }
    }

    func accept() throws -> Socket {
        let client = Glibc.accept(descriptor, nil, nil)
        guard client >= 0 else { throw failure("accept a connection") }
        return Socket(owning: client)
    }

    /// - Parameter address: IPv4, host byte order.
    func connect(to address: UInt32, port: UInt16) throws {
        let result = withAddress(address, port) { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 else { throw failure("connect to \(Address(ipv4: address)):\(port)") }
    }

    func sendAtOnce() { set(Int32(IPPROTO_TCP), TCP_NODELAY) }

    /// Makes calls fail that wait this long.
    func giveUp(afterSeconds seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(
                descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    func receive(_ buffer: inout [UInt8], _ count: Int) -> Int {
        recv(descriptor, &buffer, count, 0)
    }

    func send(_ buffer: [UInt8], _ count: Int) -> Int {
        Glibc.send(descriptor, buffer, count, Int32(MSG_NOSIGNAL))
    }

    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    private func set(_ level: Int32, _ option: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, level, option, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    private func withAddress(
        _ address: UInt32, _ port: UInt16,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var storage = sockaddr_in()
        storage.sin_family = sa_family_t(AF_INET)
        storage.sin_port = port.bigEndian
        storage.sin_addr.s_addr = address.bigEndian
        return withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

/// What `errno` says about `action`.
func failure(_ action: String) -> LabError {
    LabError(.failed, "\(action): \(String(cString: strerror(errno)))")
}
