// SPDX-License-Identifier: Apache-2.0

/// Why no answer came. What the agent itself objects to is an ``AdminFault``.
public enum AdminClientError: Error, Hashable, Sendable {
    /// Nobody listens on the socket, or whoever did went away before answering.
    case unreachable(socket: String, reason: String)
    /// The socket is there, but this user may not connect to it.
    case permissionDenied(socket: String)
    case timedOut(socket: String, seconds: Double)
    /// Whoever listens on the socket is no agent of Weft.
    case notAnAgent(socket: String, reason: String)
    /// The agent doesn't know the question, or answers it as this version doesn't understand.
    ///
    /// - Parameter agent: its version; nil: it is so old that it doesn't say.
    case otherVersion(agent: String?, question: String, reason: String)
}

extension AdminClientError: CustomStringConvertible {
    /// One sentence.
    public var description: String {
        switch self {
        case .unreachable(let socket, let reason):
            "no agent answers at \(socket): \(reason)"
        case .permissionDenied(let socket):
            "this user may not use the socket \(socket)"
        case .timedOut(let socket, let seconds):
            "the agent at \(socket) didn't answer within \(ageText(seconds))"
        case .notAnAgent(let socket, let reason):
            "\(socket) belongs to another program than weftd: \(reason)"
        case .otherVersion(let agent, let question, let reason):
            "\(Self.comparison(of: agent)), and \(question) can't be asked: \(reason)"
        }
    }

    /// What to do about it.
    public var hint: String {
        switch self {
        case .unreachable:
            "start weftd, or name the socket of one that runs: --socket or $WEFT_SOCKET"
        case .permissionDenied:
            "what changes something is for the user that the agent runs as: try sudo"
        case .timedOut: "see the agent's log for what it does; restarting it interrupts no traffic"
        case .notAnAgent: "name the agent's socket: --socket or $WEFT_SOCKET"
        case .otherVersion(let agent, _, _):
            switch order(agent, weftVersion) {
            case .newer: "use the weft that came with the agent"
            case .older, .same: "restart weftd with this version, or use the weft that came with it"
            }
        }
    }

    private static func comparison(of agent: String?) -> String {
        let own = "this weft (\(weftVersion))"
        guard let agent else { return "this agent is older than \(own)" }
        return switch order(agent, weftVersion) {
        case .older: "this agent (\(agent)) is older than \(own)"
        case .newer: "this agent (\(agent)) is newer than \(own)"
        case .same: "this agent is of another build than \(own)"
        }
    }
}

private enum VersionOrder {
    case older, same, newer
}

/// By their numbers, `0.9.10` after `0.9.9`; what doesn't say a version is older.
private func order(_ agent: String?, _ own: String) -> VersionOrder {
    guard let agent else { return .older }
    func numbers(_ version: String) -> [Int] {
        version.split { !$0.isNumber }.map { Int($0) ?? 0 }
    }
    let (left, right) = (numbers(agent), numbers(own))
    if left == right { return .same }
    return left.lexicographicallyPrecedes(right) ? .older : .newer
}
