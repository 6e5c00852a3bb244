// SPDX-License-Identifier: Apache-2.0

/// Why an API server's answer can't be used, or none came. Its objects are as they were, except
/// after `.unavailable` and `.timedOut`, when a write may have taken effect.
public struct KubernetesError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// No connection, or it broke.
        case unavailable
        /// Nothing came for longer than it may take.
        case timedOut
        case unauthorized
        case forbidden
        case notFound
        case alreadyExists
        /// The object has another version than the request says.
        case conflict
        /// 410: the version, or the position in a list, is older than what the server remembers.
        case expired
        /// The server hasn't reached the version yet: it lags, or was restored from a backup.
        case versionTooLarge
        /// The server doesn't understand the request, or refuses the object.
        case invalid
        /// 429: later.
        case throttled
        /// 5xx.
        case server
        /// The answer is larger than may be kept in memory.
        case tooLarge
        /// The answer isn't what an API server says.
        case malformed
        /// This client's own files or settings.
        case configuration
    }

    static let maximumMessageBytes = 256

    public let code: Code
    /// Of HTTP; nil if there was no answer.
    public let status: Int?
    /// One line of printable characters, at most 256 bytes, without secrets.
    public let message: String
    /// How long the server wants to be left alone.
    public let retryAfter: Duration?

    public init(
        _ code: Code, _ message: String, status: Int? = nil, retryAfter: Duration? = nil
    ) {
        self.code = code
        self.status = status
        self.message = Self.line(message)
        self.retryAfter = retryAfter
    }

    public var description: String {
        let status = status.map { "\($0), " } ?? ""
        return "\(status)\(code.rawValue): \(message)"
    }

    private static func line(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars.prefix(maximumMessageBytes) {
            let isPrintable =
                scalar.value >= 0x20 && scalar.value != 0x7f
                && !(0x80..<0xa0).contains(scalar.value)
            let next = isPrintable ? String(scalar) : " "
            guard line.utf8.count + next.utf8.count <= maximumMessageBytes else { break }
            line += next
        }
        return line
    }
}

extension KubernetesError {
    /// Whether the server objects to what one object is, or was: others may fare better.
    public var isOfOneObject: Bool {
        switch code {
        case .invalid, .conflict, .alreadyExists, .notFound, .tooLarge: true
        case .unavailable, .timedOut, .unauthorized, .forbidden, .expired, .versionTooLarge,
            .throttled,
            .server, .malformed, .configuration:
            false
        }
    }
}

extension KubernetesError {
    /// Longest that a server's wish to be left alone is obeyed.
    static let maximumRetryAfter = Duration.seconds(600)

    /// What an HTTP answer that is no success says.
    ///
    /// - Parameters:
    ///   - body: a `Status` object, or anything else.
    ///   - retryAfter: the header's value.
    init(status: Int, body: [UInt8], retryAfter: String? = nil) {
        let object = (try? JSONValue(body)) ?? .null
        let isStatus = object["kind"] == "Status"
        self.init(
            status: status, object: isStatus ? object : .null,
            fallback: isStatus ? "" : String(decoding: body.prefix(128), as: UTF8.self),
            retryAfter: retryAfter)
    }

    /// What an ERROR event says.
    init(status object: JSONValue) {
        self.init(
            status: object["code"].integer.flatMap { Int(exactly: $0) } ?? 500, object: object,
            fallback: "", retryAfter: nil)
    }

    private init(status: Int, object: JSONValue, fallback: String, retryAfter: String?) {
        let reason = object["reason"].text ?? ""
        let message = object["message"].text ?? fallback
        let seconds =
            retryAfter.flatMap { Int64($0) } ?? object["details"]["retryAfterSeconds"].integer
        let isAhead =
            object["details"]["causes"].items.contains {
                $0["reason"] == "ResourceVersionTooLarge"
            } || message.hasPrefix("Too large resource version")
        self.init(
            isAhead ? .versionTooLarge : Code(status: status, reason: reason),
            message.isEmpty ? "\(status) \(reason)" : message, status: status,
            retryAfter: seconds.flatMap {
                $0 >= 0 ? min(.seconds($0), Self.maximumRetryAfter) : nil
            })
    }
}

extension KubernetesError.Code {
    fileprivate init(status: Int, reason: String) {
        self =
            switch (status, reason) {
            case (401, _): .unauthorized
            case (403, _): .forbidden
            case (404, _): .notFound
            case (409, "AlreadyExists"): .alreadyExists
            case (409, _): .conflict
            case (410, _): .expired
            case (413, _): .tooLarge
            case (429, _): .throttled
            case (500..., _): .server
            default: .invalid
            }
    }
}
