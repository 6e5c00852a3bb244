// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import Synchronization

/// Set by a signal's handler, which may do nothing else.
private let isInterrupted = Atomic<Bool>(false)

/// Runs `body` in a task that SIGINT, SIGTERM and SIGHUP cancel, so that it can put back what it
/// changed. A second signal doesn't end it sooner.
///
/// - Returns: what `body` returned, and whether a signal came.
func interruptible<Value: Sendable>(
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> (value: Value, wasInterrupted: Bool) {
    for number in [SIGINT, SIGTERM, SIGHUP] {
        signal(number) { _ in isInterrupted.store(true, ordering: .relaxed) }
    }
    let work = Task { try await body() }
    let watch = Task {
        while !isInterrupted.load(ordering: .relaxed) {
            try await Task.sleep(for: .milliseconds(50))
        }
        work.cancel()
    }
    defer { watch.cancel() }
    return (try await work.value, isInterrupted.load(ordering: .relaxed))
}

/// - Throws: ``LabError`` `.unsupported` for everybody else.
func checkIsRoot(_ reason: String) throws {
    guard geteuid() == 0 else {
        throw LabError(.unsupported, "this needs root: \(reason)")
    }
}
