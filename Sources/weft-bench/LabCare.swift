// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import MeshLab

/// Runs `body` in a lab that is gone afterwards: also after an error, an interrupt or a crash of an
/// earlier run.
func withLab<Value>(
    _ name: String, _ file: LabFile, weft: String, _ body: (Lab) async throws -> Value
) async throws -> Value {
    try await Lab.down(name)
    return try await cleaningUp {
        try await Lab.down(name)
    } after: {
        try await body(try await Lab.up(file, name: name, executable: weft))
    }
}

/// Runs `body`, then `cleanUp`: also after an error, and when the task was cancelled.
func cleaningUp<Value>(
    _ cleanUp: @escaping @Sendable () async throws -> Void, after body: () async throws -> Value
) async throws -> Value {
    let outcome: Result<Value, any Error>
    do {
        outcome = .success(try await body())
    } catch {
        outcome = .failure(error)
    }
    // Not part of this task, in which nothing could wait any more once it is cancelled.
    try await Task.detached { try await cleanUp() }.value
    return try outcome.get()
}

/// Lets an interrupt or a polite kill cancel `task`, for the rest of the process's life.
func cancelWhenInterrupted(_ task: Task<Void, Never>) {
    for number in [SIGINT, SIGTERM, SIGHUP] {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            // The source holds its handler, and so itself.
            withExtendedLifetime(source) { task.cancel() }
        }
        source.activate()
    }
}

extension LabFile {
    /// Clusters of one node each, with service addresses of their own.
    static func ofSingleNodes(_ clusters: [String], name: String) throws -> LabFile {
        let lines = clusters.enumerated().map { index, cluster in
            "- {name: \(cluster), id: \(index + 1), nodes: 1, serviceCIDRs: [10.\(201 + index).0.0/16]}"
        }
        return try LabFile(yaml: (["clusters:"] + lines).joined(separator: "\n"), name: name)
    }
}
