// SPDX-License-Identifier: Apache-2.0

/// Why no answer came. What the agent itself objects to is an ``AdminFault``.
public enum AdminClientError: Error, Hashable, Sendable {
    /// Nobody listens on the socket, or whoever did went away before answering.
    case unreachable(socket: String, reason: String)
    /// The socket is there, but this user may not connect to it.
    case permissionDenied(socket: String)
    case timedOut(socket: String, seconds: Double)
    /// The answer isn't what this version understands.
    case incomprehensible(path: String, reason: String)
}

extension AdminClientError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let socket, let reason):
            "no agent answers at \(socket): is weftd running? (\(reason))"
        case .permissionDenied(let socket):
            "permission denied for \(socket): administration needs the user the agent runs as"
        case .timedOut(let socket, let seconds):
            "the agent at \(socket) didn't answer within \(seconds) s: see its log"
        case .incomprehensible(let path, let reason):
            "the answer to \(path) makes no sense (\(reason)): are weft and weftd of one version?"
        }
    }
}
