// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `250us`, `5ms`, `1.5s`, `2m`; a bare number counts milliseconds.
struct DurationArgument: ExpressibleByArgument, ExpressibleByStringLiteral {
    let duration: Duration
    let defaultValueDescription: String

    /// Longest first, so that `ms` isn't taken for `s`.
    private static let units: [(suffix: String, seconds: Double)] = [
        ("us", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60),
    ]
    /// A day: longer is a mistake.
    private static let secondsMaximum = 86_400.0

    init?(argument: String) {
        defaultValueDescription = argument
        let unit = Self.units.first { argument.hasSuffix($0.suffix) } ?? ("", 1e-3)
        guard let value = Double(argument.dropLast(unit.suffix.count)),
            value >= 0, value * unit.seconds <= Self.secondsMaximum
        else { return nil }
        duration = .nanoseconds(Int64((value * unit.seconds * 1e9).rounded()))
    }

    /// For defaults in the source.
    init(stringLiteral text: String) {
        guard let value = Self(argument: text) else { preconditionFailure("no duration: \(text)") }
        self = value
    }
}
