// SPDX-License-Identifier: Apache-2.0

import MeshReplication

/// How much another cluster may announce here. The defaults leave room above the largest clusters
/// that Kubernetes is made for (150,000 pods, 10,000 services) and still bound what a cluster that
/// lies or runs wild can cost.
struct CharterQuota: Hashable, Sendable {
    /// Endpoint records.
    var endpoints = 250_000
    /// Service records.
    var services = 50_000
    /// Records of every kind, those of newer versions included.
    var records = 1_000_000
    /// Of one record's value. By default as much as a ledger can carry.
    var valueBytes = ReplicationLimit.valueBytes
    /// Puts and deletes in the long run.
    var recordsPerSecond = 20_000
    /// Puts and deletes at once, after a pause.
    var burst = 250_000

    /// Of an authority: its announcement, and for each other cluster an admission, how far it has read,
    /// and which roots it holds. No charter may make it less.
    static let statements = 3 * 4095 + 1

    /// What each may be.
    static let range = 1...1_000_000_000
}
