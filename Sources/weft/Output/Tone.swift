// SPDX-License-Identifier: Apache-2.0

/// What a colour says. Never the only sign: the words are the same without it.
enum Tone: Sendable {
    case good, warning, bad

    /// Of a state's name, as tables show it; nil: nothing to stress.
    init?(ofState text: String) {
        switch text.split(whereSeparator: { ":, (".contains($0) }).first {
        case "up", "healthy", "done", "enforced", "member", "alive", "connected", "following",
            "established", "yes":
            self = .good
        case "suspect", "degraded", "pending", "probation", "draining", "waiting", "connecting",
            "closing", "unknown":
            self = .warning
        case "unreachable", "failing", "error", "refused", "dead", "conflicted", "frozen", "reset",
            "no":
            self = .bad
        default: return nil
        }
    }

    func paint(_ text: some StringProtocol, _ isColoured: Bool) -> String {
        guard isColoured else { return String(text) }
        let number =
            switch self {
            case .good: 32
            case .warning: 33
            case .bad: 31
            }
        return "\u{1B}[\(number)m\(text)\u{1B}[0m"
    }
}
