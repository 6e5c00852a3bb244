// SPDX-License-Identifier: Apache-2.0

/// Asks `condition` again and again until it has an answer.
///
/// - Parameter what: completes "waited … for".
/// - Throws: ``LabError`` `.timedOut` after `limit`; whatever `condition` throws, at once.
public func awaiting<Value>(
    _ what: @autoclosure () -> String, atMost limit: Duration,
    every interval: Duration = .milliseconds(10), isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = try await condition() { return value }
        guard ContinuousClock.now < deadline else {
            throw LabError(.timedOut, "waited \(limit) in vain for \(what())")
        }
        try await Task.sleep(for: interval)
    }
}
