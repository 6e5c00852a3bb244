// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// How a node leaves its cluster in order: it says that it drains, waits until nobody needs it, and
/// only then that it is gone. Both words last until they are taken back, through restarts too.
struct NodeDeparture: Equatable, Sendable {
    enum Phase: String, Sendable {
        case serving
        /// No new flows, open ones finish.
        case draining
        /// It has said in the gossip that it goes: its silence is nobody's concern.
        case left
    }

    /// What still speaks against going.
    struct Burden: Equatable, Sendable {
        /// Nobody publishes its word: others know nothing of it.
        var isUnannounced = false
        var isRelay = false
        /// On which it still sends heartbeats.
        var paths = 0
        /// TCP connections that others opened to its endpoints.
        var connections = 0
        var publishing = Publishing.no

        enum Publishing: Equatable, Sendable {
            case no
            /// Another node takes over within moments.
            case untilSucceeded
            /// Nobody else can: it goes on for as long as it runs, and may leave all the same.
            case untilStopped
        }

        var isLight: Bool {
            var rest = self
            if rest.publishing == .untilStopped { rest.publishing = .no }
            return rest == Burden()
        }

        var sentences: [String] {
            var sentences: [String] = []
            if isUnannounced { sentences.append("its word isn't published yet") }
            if isRelay {
                sentences.append("it is a relay, and no other node has taken its place")
            } else if paths > 0 {
                sentences.append("\(paths) paths to other clusters go on for a while")
            }
            if connections > 0 {
                sentences.append("\(connections) connections to its endpoints are open")
            }
            switch publishing {
            case .no: break
            case .untilSucceeded:
                sentences.append("it publishes for its cluster until another node takes over")
            case .untilStopped:
                sentences.append(
                    "it publishes for its cluster until it is stopped: no other node can, now")
            }
            return sentences
        }
    }

    /// Nobody leaves sooner: the word takes its time to every cluster, and what it crossed opens a
    /// connection yet.
    static let stay = Duration.seconds(3)
    static let timeoutDefault = Duration.seconds(60)
    static let timeoutMaximum = Duration.seconds(24 * 3600)

    private(set) var phase = Phase.serving
    private(set) var timeout = Self.timeoutDefault
    private(set) var began: Instant?
    /// As of the last step; what was left open, once it has left.
    private(set) var burden = Burden()

    /// - Parameter timeout: how long it waits at most; it goes then whatever is open.
    /// - Returns: false if it had left already.
    mutating func leave(within timeout: Duration, at now: Instant) -> Bool {
        guard phase != .left else { return false }
        phase = .draining
        self.timeout = min(max(timeout, .zero), Self.timeoutMaximum)
        began = now
        return true
    }

    /// - Returns: false if it serves.
    mutating func stayAfterAll() -> Bool {
        guard phase != .serving else { return false }
        self = NodeDeparture()
        return true
    }

    /// - Returns: whether this is the moment to go.
    mutating func step(_ burden: Burden, at now: Instant) -> Bool {
        guard phase == .draining else { return false }
        let began = began ?? now
        self.began = began
        self.burden = burden
        let waited = now - began
        guard waited >= timeout || waited >= Self.stay && burden.isLight else { return false }
        phase = .left
        return true
    }

    /// Until it goes in any case; nil unless it drains.
    func remaining(at now: Instant) -> Duration? {
        guard phase == .draining, let began else { return nil }
        return max(timeout - (now - began), .zero)
    }
}

/// On disk: the phase, and the timeout in whole seconds. A drain that is taken up again waits anew.
extension NodeDeparture: LosslessStringConvertible {
    init?(_ text: String) {
        let fields = text.split(whereSeparator: \.isWhitespace)
        guard fields.count == 2, let phase = Phase(rawValue: String(fields[0])),
            let seconds = Int64(fields[1]), seconds >= 0,
            .seconds(min(seconds, .max / 1_000_000_000)) <= Self.timeoutMaximum
        else { return nil }
        self.phase = phase
        timeout = .seconds(seconds)
    }

    var description: String { "\(phase.rawValue) \(timeout.components.seconds)" }
}
