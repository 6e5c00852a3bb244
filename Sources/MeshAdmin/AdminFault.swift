// SPDX-License-Identifier: Apache-2.0

/// Why a request was not served: the JSON body of every answer that is no success.
///
/// Whatever the code, the agent's state is as it was before the request.
public struct AdminFault: Error, Codable, Hashable, Sendable {
    public enum Code: String, Codable, Sendable, CaseIterable {
        /// The request says something that can't be: it must change before it is sent again.
        case invalidRequest
        /// Administration was asked for on the socket that everybody may read.
        case forbidden
        case notFound
        /// What is asked for contradicts what is there.
        case conflict
        case tooLarge
        /// Works later: the agent is starting, or something that it needs is away.
        case unavailable
        /// The agent's own failure, which its log tells more about.
        case internalError
    }

    public var code: Code
    /// One sentence that names the thing.
    public var message: String
    /// What to do about it.
    public var hint: String?

    public init(_ code: Code, _ message: String, hint: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
    }
}

extension AdminFault.Code {
    /// The HTTP status that carries the fault.
    public var status: Int {
        switch self {
        case .invalidRequest: 400
        case .forbidden: 403
        case .notFound: 404
        case .conflict: 409
        case .tooLarge: 413
        case .unavailable: 503
        case .internalError: 500
        }
    }
}

extension AdminFault: CustomStringConvertible {
    public var description: String { hint.map { "\(message) (\($0))" } ?? message }
}

extension AdminFault {
    /// `notFound`, with the name that was meant where one is near.
    public init(
        unknown kind: String, _ name: String, among names: some Sequence<String>,
        hint: String? = nil
    ) {
        let meant = nearest(name, among: names).map { "; did you mean \($0)?" } ?? ""
        self.init(.notFound, "there is no \(kind) \(name)\(meant)", hint: hint)
    }
}
