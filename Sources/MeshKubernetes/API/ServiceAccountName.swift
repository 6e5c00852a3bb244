// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// A service account, `namespace:name` as operators and RBAC's user names write it.
public struct ServiceAccountName: Hashable, Sendable, LosslessStringConvertible {
    private static let userPrefix = "system:serviceaccount:"

    public let namespace: String
    public let name: String

    /// Nil unless both are DNS names.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ isSubdomain(String($0)) }) else { return nil }
        namespace = String(parts[0])
        name = String(parts[1])
    }

    /// From what an API server calls the user; nil for who is no service account.
    public init?(username: String) {
        guard username.utf8.starts(with: Self.userPrefix.utf8) else { return nil }
        self.init(String(username.dropFirst(Self.userPrefix.count)))
    }

    public var description: String { "\(namespace):\(name)" }
}
