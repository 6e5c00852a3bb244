// SPDX-License-Identifier: Apache-2.0

import UnixSignals

/// Does `body`, unless SIGTERM or SIGINT comes first: process 1 of a container ignores those that it
/// doesn't ask for.
///
/// - Returns: nil after a signal; `body` was cancelled.
func untilSignal<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result? {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { break }
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}
