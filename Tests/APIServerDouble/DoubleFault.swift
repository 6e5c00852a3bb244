// SPDX-License-Identifier: Apache-2.0

/// What goes wrong with a request, beyond what a state can say.
public enum DoubleFault: Hashable, Sendable {
    /// 429 with `Retry-After`.
    case throttle(seconds: Int)
    /// 500.
    case fail
    /// The connection breaks after so many bytes of the body.
    case cut(afterBytes: Int)
    /// Nothing comes for so long; then the answer, as of then.
    case slow(Duration)
    /// Nothing comes, and the connection stays.
    case hang
    /// An answer with bytes of the test's own.
    case canned(DoubleAnswer)

    /// The answer that replaces the real one; nil if the fault only spoils it.
    public var answer: DoubleAnswer? {
        switch self {
        case .throttle(let seconds):
            var answer = DoubleStatus.throttled.answer
            answer.headers["Retry-After"] = "\(seconds)"
            return answer
        case .fail: return DoubleStatus.broken.answer
        case .canned(let answer): return answer
        case .cut, .slow, .hang: return nil
        }
    }
}

/// Which requests a fault meets.
public enum DoubleFaultScope: Hashable, Sendable {
    case everything
    case lists
    case watches
    case writes

    func includes(_ request: DoubleRequest) -> Bool {
        switch self {
        case .everything: true
        case .lists: request.method == "GET" && !request.isWatch
        case .watches: request.method == "GET" && request.isWatch
        case .writes: request.method != "GET"
        }
    }
}

/// What clients cost the double.
public struct DoubleCounters: Hashable, Sendable {
    /// By verb: `list`, `watch`, `get`, `create`, …
    public var requests: [String: Int] = [:]
    /// Bodies, as sent.
    public var bytes = 0
    /// Watches that are open.
    public var watches = 0

    public init() {}

    public var total: Int { requests.values.reduce(0, +) }
}
