// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Reports of a cluster's nodes → one map. A folder is its node's report; where two nodes say
/// different things about one object, the older statement is in force, and the conflict is shown.
public struct ReportMerger: Sendable {
    /// Who reports what an API server says: no node can have this name. With revision 0 its word comes
    /// before theirs.
    public static let apiServer = "API server"

    private struct Claim: Sendable {
        var revision: UInt64
        var value: [UInt8]
    }

    private var claims: [RecordKey: [String: Claim]] = [:]
    private var contested: Set<RecordKey> = []

    public init() {}

    /// What is in force, by key.
    public var values: [RecordKey: [UInt8]] {
        claims.compactMapValues { Self.winner(of: $0)?.claim.value }
    }

    /// In the order of their keys.
    public var conflicts: [ReportConflict] {
        contested.sorted().compactMap { key in
            guard let claims = claims[key], let winner = Self.winner(of: claims) else { return nil }
            let overruled = claims.filter { $0.value.value != winner.claim.value }.keys.sorted()
            return ReportConflict(key: key, nodeInForce: winner.node, overruled: overruled)
        }
    }

    /// Takes in what a node says about a key.
    ///
    /// - Parameters:
    ///   - value: the encoded record, nil if the node no longer says anything about it.
    ///   - revision: a number that grows over all nodes, such as the publisher's count of reports.
    ///     A value that is repeated keeps the revision it came with first.
    /// - Returns: the change of what is in force, nil if there is none.
    public mutating func update(
        node: String, key: RecordKey, value: [UInt8]?, revision: UInt64
    ) -> ReportChange? {
        let before = claims[key].flatMap(Self.winner)?.claim.value
        if let value {
            if claims[key]?[node]?.value != value {
                claims[key, default: [:]][node] = Claim(revision: revision, value: value)
            }
        } else {
            claims[key]?[node] = nil
            if claims[key]?.isEmpty == true { claims[key] = nil }
        }
        let current = claims[key] ?? [:]
        let after = Self.winner(of: current)?.claim.value
        if current.values.contains(where: { $0.value != after }) {
            contested.insert(key)
        } else {
            contested.remove(key)
        }
        return before == after ? nil : ReportChange(key: key, value: after)
    }

    /// Forgets everything a node said: it was removed, not merely silent.
    public mutating func remove(node: String) -> [ReportChange] {
        claims.filter { $0.value[node] != nil }.keys.sorted().compactMap {
            update(node: node, key: $0, value: nil, revision: 0)
        }
    }

    /// The oldest claim; among equally old ones that of the first node by name.
    private static func winner(of claims: [String: Claim]) -> (node: String, claim: Claim)? {
        claims.min { ($0.value.revision, $0.key) < ($1.value.revision, $1.key) }
            .map { ($0.key, $0.value) }
    }
}

/// A value that came into force, or nil where nobody says anything any more.
public struct ReportChange: Hashable, Sendable {
    public let key: RecordKey
    public let value: [UInt8]?

    public init(key: RecordKey, value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// Nodes that say different things about one object.
public struct ReportConflict: Hashable, Sendable, CustomStringConvertible {
    public let key: RecordKey
    public let nodeInForce: String
    /// Sorted.
    public let overruled: [String]

    public var description: String {
        if nodeInForce == ReportMerger.apiServer {
            return "\(key) differs between the API server, whose word is in force, and the folder "
                + "of \(overruled.joined(separator: ", ")); remove it there"
        }
        return "\(key) differs between nodes: \(nodeInForce) said it first and is in force, "
            + "\(overruled.joined(separator: ", ")) is overruled; make their manifests equal"
    }
}
