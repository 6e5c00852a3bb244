// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

/// Runs `body` on a thread made for it, which ends with it, and waits.
///
/// A thread that has changed its namespace must never go back to a pool.
func runOnThread<Value>(_ body: () -> Value) throws(NetlinkError) -> Value {
    var value: Value?
    let keep = { value = body() }
    let failure = withoutActuallyEscaping(keep) { work -> Int32 in
        let job = Unmanaged.passRetained(Job(work))
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Job>.fromOpaque(argument).takeRetainedValue().work()
                return nil
            }, job.toOpaque())
        guard failure == 0 else {
            job.release()
            return failure
        }
        return pthread_join(thread, nil)
    }
    guard failure == 0, let value else {
        throw NetlinkError(Errno(rawValue: failure), operation: "start a thread")
    }
    return value
}

private final class Job {
    let work: () -> Void
    init(_ work: @escaping () -> Void) { self.work = work }
}
