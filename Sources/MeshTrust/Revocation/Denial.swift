// SPDX-License-Identifier: Apache-2.0

extension DenyBook {
    /// Why a chain is refused: end its sessions, accept no new one.
    public struct Denial: Hashable, Sendable {
        /// The cluster that denies; nil for the local list.
        public let owner: TrustDomain?
        public let entry: DenyEntry
    }
}

extension DenyBook.Denial: CustomStringConvertible {
    public var description: String {
        "\(entry) (\(owner.map { "by \($0)" } ?? "by this cluster's operator"))"
    }
}
