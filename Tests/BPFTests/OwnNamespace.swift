// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Runs `body` on a thread of its own in a network namespace of its own, whose loopback device
/// (index 1) is up; both are gone when it returns.
func inOwnNamespace<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) throws -> Value {
    nonisolated(unsafe) var outcome: Result<Value, any Error>?
    let job = Job()
    job.run = {
        outcome = Result {
            try leaveNetworkNamespace()
            try bringLoopbackUp()
            return try body()
        }
    }
    var thread = pthread_t()
    let created = pthread_create(
        &thread, nil,
        { context in
            Unmanaged<Job>.fromOpaque(context!).takeUnretainedValue().run()
            return nil
        }, Unmanaged.passUnretained(job).toOpaque())
    guard created == 0 else { throw SystemFailure(created) }
    pthread_join(thread, nil)
    withExtendedLifetime(job) {}
    return try outcome!.get()
}

private final class Job {
    var run: () -> Void = {}
}

/// Swift's Glibc module leaves unshare(2) out.
private func leaveNetworkNamespace() throws {
    typealias Unshare = @convention(c) (Int32) -> Int32
    let newNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET
    guard let symbol = dlsym(nil, "unshare") else { throw SystemFailure(ENOSYS) }
    guard unsafeBitCast(symbol, to: Unshare.self)(newNetwork) == 0
    else { throw SystemFailure(errno) }
}

struct SystemFailure: Error, CustomStringConvertible {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    var description: String { String(cString: strerror(number)) }
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
