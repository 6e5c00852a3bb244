// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A thread beside the one that makes it, in the same network namespace.
public final class Companion: Sendable {
    private final class Job: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    public init(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let created = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Job>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(Job(body)).toOpaque())
        precondition(created == 0, "no thread: \(String(cString: strerror(created)))")
        self.thread = thread
    }

    /// Waits for its end; call it once.
    public func join() { pthread_join(thread, nil) }
}
