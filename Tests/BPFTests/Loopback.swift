// SPDX-License-Identifier: Apache-2.0

import Glibc
import KernelTestSupport

/// As the function of the same name, with the loopback device up.
func inOwnNamespace<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) throws -> Value {
    try KernelTestSupport.inOwnNamespace {
        try bringLoopbackUp()
        return try body()
    }
}

private func bringLoopbackUp() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(descriptor) }
    var request = ifreq()
    withUnsafeMutableBytes(of: &request) { bytes in
        bytes.copyBytes(from: "lo".utf8)
        // Behind the name of 16 bytes: the flags.
        bytes.storeBytes(
            of: Int16(IFF_UP), toByteOffset: 16, as: Int16.self)
    }
    guard ioctl(descriptor, UInt(SIOCSIFFLAGS), &request) == 0 else { throw SystemFailure(errno) }
}

/// Sends one datagram over loopback to the socket it came from: exactly one packet.
func sendToLoopback() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(9).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    let sent = withUnsafeBytes(of: &address) { bytes in
        let name = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
        let length = socklen_t(bytes.count)
        guard bind(descriptor, name, length) == 0 else { return -1 }
        return sendto(descriptor, "x", 1, 0, name, length)
    }
    guard sent == 1 else { throw SystemFailure(errno) }
}
