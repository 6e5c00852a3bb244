// SPDX-License-Identifier: Apache-2.0

/// A token that proves whoever shows it. Its text leaves it only on purpose: no description has it.
public struct BearerToken: Hashable, Sendable {
    /// Never log it.
    public let exposed: String

    /// - Parameter text: white space around it is an editor's.
    /// - Returns: nil unless it is 1 to ``JoinLimit/bearerTokenBytes`` visible ASCII characters: it
    ///   becomes a part of requests to others.
    public init?(_ text: some StringProtocol) {
        let isSpace: (UInt8) -> Bool = { $0 <= 0x20 }
        let token = Array(
            text.utf8.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
        guard (1...JoinLimit.bearerTokenBytes).contains(token.count),
            token.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        exposed = String(decoding: token, as: UTF8.self)
    }
}

extension BearerToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "a token" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
