// SPDX-License-Identifier: Apache-2.0

/// How long to wait before the next attempt: twice as long after each failure, and never in step
/// with others.
public struct KubernetesBackoff: Hashable, Sendable {
    let first: Duration
    let longest: Duration
    private(set) var failures = 0

    public init(first: Duration, longest: Duration) {
        self.first = first
        self.longest = longest
    }

    mutating func reset() { failures = 0 }

    /// - Parameter retryAfter: what the server asks for, never undercut.
    /// - Returns: between one and one and a half times the step.
    public mutating func next(
        retryAfter: Duration? = nil, using generator: inout some RandomNumberGenerator
    ) -> Duration {
        let step = min(first * (1 << min(failures, 16)), longest)
        failures += 1
        return max(step, retryAfter ?? .zero) * Double.random(in: 1..<1.5, using: &generator)
    }
}
