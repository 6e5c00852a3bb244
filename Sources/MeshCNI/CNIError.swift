// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Why a call failed, as a container runtime is told: JSON on standard output, exit code 1
/// (CNI 1.1 §5, *Error*).
public struct CNIError: Error, Hashable, Sendable {
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: UInt

        public init(rawValue: UInt) { self.rawValue = rawValue }

        public static let incompatibleVersion = Code(rawValue: 1)
        public static let unsupportedField = Code(rawValue: 2)
        /// The container's network namespace isn't there: nothing has to be deleted either.
        public static let unknownContainer = Code(rawValue: 3)
        public static let invalidEnvironment = Code(rawValue: 4)
        public static let inputOutput = Code(rawValue: 5)
        public static let undecodable = Code(rawValue: 6)
        public static let invalidConfiguration = Code(rawValue: 7)
        public static let tryAgainLater = Code(rawValue: 11)
        /// Of STATUS: no ADD would succeed.
        public static let unavailable = Code(rawValue: 50)
        /// Of STATUS: no ADD would succeed, and containers that are there may reach less.
        public static let limitedConnectivity = Code(rawValue: 51)
        /// The agent refused or failed.
        public static let refused = Code(rawValue: 100)
        /// Of CHECK: the attachment isn't what it was.
        public static let broken = Code(rawValue: 101)
    }

    public let code: Code
    /// One sentence.
    public let message: String
    /// What to do about it.
    public let details: String?

    public init(_ code: Code, _ message: String, details: String? = nil) {
        self.code = code
        self.message = message
        self.details = details
    }

    /// The document for standard output.
    ///
    /// - Parameter version: the configuration's; the newest if that isn't known.
    public func document(version: CNIVersion?) -> [UInt8] {
        var fields: [String: JSONValue] = [
            "cniVersion": .string((version ?? .newest).rawValue),
            "code": .integer(Int64(clamping: code.rawValue)), "msg": .string(message),
        ]
        if let details { fields["details"] = .string(details) }
        return JSONValue.object(fields).encoded
    }
}
