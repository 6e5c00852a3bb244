// SPDX-License-Identifier: Apache-2.0

/// One life of a process that may hold the lease. A restarted process is another holder: it waits
/// its former life out, which might only be paused.
public struct LeaseHolder: Hashable, Sendable {
    /// Name of the node or pod: an RFC 1123 subdomain.
    public let node: String
    /// Drawn at random when the process starts; never zero.
    public let instance: UInt64

    public init(node: String, instance: UInt64) {
        self.node = node
        self.instance = instance
    }

    /// Stands in a record that was made where there was none. All wait it out, for the record that
    /// is missing may have been somebody's.
    public static let nobody = LeaseHolder(node: "nobody", instance: 0)
}

extension LeaseHolder: LosslessStringConvertible {
    /// Written `node_instance` with the instance in hexadecimal, as Kubernetes' own electors do.
    public init?(_ description: String) {
        guard let separator = description.lastIndex(of: "_"), separator > description.startIndex,
            let instance = UInt64(
                description[description.index(after: separator)...], radix: 16)
        else { return nil }
        self.init(node: String(description[..<separator]), instance: instance)
    }

    public var description: String { "\(node)_\(String(instance, radix: 16))" }
}

/// What the lease store keeps about a cluster's publisher. Every step of the protocol replaces the
/// whole record, on condition that it is still the one that was read.
public struct LeaseRecord: Hashable, Sendable {
    /// Nil when the last holder has let go: anybody may take the lease at once.
    public var holder: LeaseHolder?
    /// Rises with every tenure; a store or a ledger that has seen one refuses any lower.
    public var token: UInt64
    /// The highest epoch that any holder opened or began to open.
    public var epoch: UInt32
    /// Local identity numbers below this are taken, whether or not they are in use.
    public var identities: UInt32

    public init(holder: LeaseHolder?, token: UInt64, epoch: UInt32, identities: UInt32) {
        self.holder = holder
        self.token = token
        self.epoch = epoch
        self.identities = identities
    }

    /// Before any holder.
    public static let initial = LeaseRecord(holder: nil, token: 0, epoch: 0, identities: 0)

    /// Takes each number from whichever record has the higher one; the holder stays.
    func raised(to other: LeaseRecord) -> LeaseRecord {
        LeaseRecord(
            holder: holder, token: max(token, other.token), epoch: max(epoch, other.epoch),
            identities: max(identities, other.identities))
    }
}

extension LeaseRecord: LosslessStringConvertible {
    private static let format = "weft-lease/1"
    private static let nobody = "-"

    /// Format, token, epoch, identities and holder, between single spaces: one line that fits a key,
    /// an annotation and a file alike. A later version appends words, which are ignored here.
    public init?(_ description: String) {
        let words = description.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count >= 5, words[0] == Self.format, let token = UInt64(words[1]),
            let epoch = UInt32(words[2]), let identities = UInt32(words[3])
        else { return nil }
        // Each still has a next one: whoever can write the record must not be able to stop its readers.
        guard token < .max, epoch < .max, identities < .max else { return nil }
        let holder = LeaseHolder(String(words[4]))
        guard holder != nil || words[4] == Self.nobody else { return nil }
        self.init(holder: holder, token: token, epoch: epoch, identities: identities)
    }

    public var description: String {
        let holder = holder?.description ?? Self.nobody
        return "\(Self.format) \(token) \(epoch) \(identities) \(holder)"
    }
}
