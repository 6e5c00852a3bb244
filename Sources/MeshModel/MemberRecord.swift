// SPDX-License-Identifier: Apache-2.0

/// A node that the cluster's API server has. In the own ledger only: it tells the cluster's nodes whom to
/// dial; what another cluster's says is ignored.
public struct MemberRecord: LedgerRecord {
    public static let kind = RecordKind.member

    public let name: String
    /// Where it can be reached on the underlay, in the API server's order; 1...16.
    public let addresses: [Address]
    /// Empty if nobody said.
    public let zone: String

    public init(name: String, addresses: [Address], zone: String) {
        self.name = name
        self.addresses = addresses
        self.zone = zone
    }
}
