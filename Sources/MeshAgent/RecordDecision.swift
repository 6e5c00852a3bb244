// SPDX-License-Identifier: Apache-2.0

/// Whether a record of another cluster is seen here.
enum RecordDecision: Hashable, Sendable {
    case accept
    /// With a reason an operator understands.
    case refuse(String)
}
