// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// A file that says whom a double admits: it stands for who makes and takes back tokens.
public struct DoubleTokens: Sendable {
    public struct Entry: Decodable, Sendable {
        struct Rule: Decodable, Sendable {
            let verbs: Set<String>
            let resources: Set<String>
        }
        struct Pod: Decodable, Sendable {
            let namespace: String
            let name: String
            let uid: String
        }
        let token: String
        let user: String
        let uid: String
        let rules: [Rule]
        /// Nil: the server's own.
        let audiences: [String]?
        let pod: Pod?

        fileprivate var account: DoubleUser {
            DoubleUser(
                user, uid: uid, audiences: audiences ?? [],
                rules: rules.map { .init($0.verbs, $0.resources) },
                pod: pod.map { .init(namespace: $0.namespace, name: $0.name, uid: $0.uid) })
        }
    }

    private let path: String
    private var data: Data?
    private var admitted: Set<String> = []

    public init(path: String) { self.path = path }

    /// Admits whom the file lists, and nobody whom it did before.
    public mutating func follow(_ server: APIServerDouble) throws {
        let current = try Data(contentsOf: URL(filePath: path))
        guard current != data else { return }
        let entries = try JSONDecoder().decode([Entry].self, from: current)
        let gone = admitted.subtracting(entries.map(\.token))
        server.change { state in
            for entry in entries { state.admit(entry.account, token: entry.token) }
            for token in gone { state.expire(token: token) }
        }
        data = current
        admitted = Set(entries.map(\.token))
    }
}
