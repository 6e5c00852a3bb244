// SPDX-License-Identifier: Apache-2.0

/// `850ms`, `1.5s`, `42s`, `3m12s`, `5h3m`, `4d7h`: the two units that matter. Empty for what is no
/// number.
public func ageText(_ seconds: Double) -> String {
    guard seconds.isFinite else { return "" }
    let milliseconds = (max(seconds, 0) * 1000).rounded()
    if milliseconds < 1000 { return "\(Int(milliseconds))ms" }
    let tenths = (milliseconds / 100).rounded()
    if tenths < 100 { return "\(Int(tenths) / 10).\(Int(tenths) % 10)s" }
    // A number of seconds beyond every agent's life stands for itself.
    let whole = Int(min(milliseconds / 1000, 1e12).rounded())
    return switch whole {
    case ..<60: "\(whole)s"
    case ..<3600: "\(whole / 60)m\(whole % 60)s"
    case ..<86_400: "\(whole / 3600)h\(whole % 3600 / 60)m"
    default: "\(whole / 86_400)d\(whole % 86_400 / 3600)h"
    }
}
