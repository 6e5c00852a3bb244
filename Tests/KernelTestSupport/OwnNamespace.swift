// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Runs `body` on a thread of its own in a network namespace of its own, whose loopback device
/// has index 1; both are gone when it returns.
public func inOwnNamespace<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) throws -> Value {
    nonisolated(unsafe) var outcome: Result<Value, any Error>?
    let job = Job()
    job.run = {
        outcome = Result {
            try leaveNetworkNamespace()
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

public struct SystemFailure: Error, CustomStringConvertible {
    public let number: Int32

    /// - Parameter number: an errno.
    public init(_ number: Int32) { self.number = number }
    public var description: String { String(cString: strerror(number)) }
}
