// SPDX-License-Identifier: Apache-2.0

import GRPCCore

/// Why etcd did not do what was asked.
public struct EtcdError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// No answer, or none in time: a write may have taken effect. The next call goes to the next
        /// endpoint.
        case unavailable
        /// etcd denies this client or this request, or has no more space. Nothing was written.
        case refused
        /// The revision that was asked for is gone: list again.
        case compacted
        /// etcd knows no such revision yet: it lags, or has lost what it once said.
        case future
        /// More than one request or message may carry. Nothing was written.
        case tooLarge
        /// etcd holds something that isn't ours, or no longer all of it.
        case malformed
        /// The lease is somebody else's. Nothing was written.
        case deposed
        /// The ledger isn't where the caller believed it to be. Nothing was written.
        case conflict
        case configuration
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "etcd \(code.rawValue): \(message)" }
}

extension EtcdError {
    /// etcd tells some causes apart by their text only.
    init(_ error: any Error) {
        if let error = error as? EtcdError {
            self = error
            return
        }
        guard let error = error as? RPCError else {
            self.init(.unavailable, "\(error)")
            return
        }
        let message = error.message
        switch error.code {
        // How the transport reports a response that is longer than it may be.
        case _ where message.contains("maximum payload size"): self.init(.tooLarge, message)
        case .outOfRange where message.contains("compacted"): self.init(.compacted, message)
        case .outOfRange: self.init(.future, message)
        case .invalidArgument where message.contains("too large") || message.contains("too many"):
            self.init(.tooLarge, message)
        case .resourceExhausted where !message.contains("space exceeded"):
            self.init(.tooLarge, message)
        case .resourceExhausted, .invalidArgument, .permissionDenied, .unauthenticated,
            .failedPrecondition, .notFound, .unimplemented:
            self.init(.refused, message)
        default: self.init(.unavailable, "\(error.code): \(message)")
        }
    }
}
