// SPDX-License-Identifier: Apache-2.0

/// A 32-bit security identity: 12 bits of cluster ID, then 20 bits that the cluster allots.
///
/// Local numbers 0...255 are reserved in every cluster; allocation starts at 256.
public struct Identity: RawRepresentable, Hashable, Comparable, Sendable {
    public static let localBits = 20
    public static let firstAllocated: UInt32 = 256
    public static let localMaximum: UInt32 = 1 << localBits - 1

    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public init?(cluster: ClusterID, local: UInt32) {
        guard local <= Self.localMaximum else { return nil }
        rawValue = UInt32(cluster.rawValue) << Self.localBits | local
    }

    public init(cluster: ClusterID, reserved: Reserved) {
        rawValue = UInt32(cluster.rawValue) << Self.localBits | reserved.rawValue
    }

    /// What is no cluster's: any address outside the mesh.
    public static let world = Identity(rawValue: Reserved.world.rawValue)

    /// Nil for identities outside every cluster, as ``world``.
    public var cluster: ClusterID? {
        ClusterID(rawValue: UInt16(rawValue >> UInt32(Self.localBits)))
    }

    public var local: UInt32 { rawValue & Self.localMaximum }

    public var reserved: Reserved? { Reserved(rawValue: local) }

    public static func < (left: Identity, right: Identity) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The reserved local numbers. They keep the incumbent's values, so that operators know them.
    public enum Reserved: UInt32, Sendable, CaseIterable {
        case host = 1
        case world = 2
        case health = 4
        /// An endpoint whose labels have no number yet.
        case initializing = 5
        case remoteNode = 6
    }
}

extension Identity: CustomStringConvertible {
    public var description: String {
        cluster.map { "\($0):\(reserved.map { "\($0)" } ?? String(local))" }
            ?? reserved.map { "\($0)" } ?? String(rawValue)
    }
}
