// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One cluster's news about a service or a slice: an input of ``ServiceMerger``.
public struct ServiceChange: Sendable {
    public enum Content: Sendable {
        case service(ServiceRecord)
        case slice(SliceRecord)
        case serviceDeleted(ObjectName)
        case sliceDeleted(ObjectName)
    }

    public let cluster: ClusterID
    public let content: Content

    public init(cluster: ClusterID, _ content: Content) {
        self.cluster = cluster
        self.content = content
    }

    /// What a ledger says; nil for records that are neither service nor slice.
    ///
    /// - Parameter value: the encoded record, nil if it was deleted.
    /// - Throws: ``DecodingFault``: the value doesn't decode or isn't the key's. The caller
    ///   quarantines the record; what was known before stays in force.
    public init?(cluster: ClusterID, key: RecordKey, value: [UInt8]?) throws(DecodingFault) {
        switch (key.kind, value) {
        case (.service, let value?):
            let record = try ServiceRecord(encoded: value)
            guard record.key == key else { throw .invalid("key") }
            self.init(cluster: cluster, .service(record))
        case (.slice, let value?):
            let record = try SliceRecord(encoded: value)
            guard record.key == key else { throw .invalid("key") }
            self.init(cluster: cluster, .slice(record))
        case (.service, nil):
            self.init(cluster: cluster, .serviceDeleted(try ObjectName(of: key)))
        case (.slice, nil):
            self.init(cluster: cluster, .sliceDeleted(try ObjectName(of: key)))
        default:
            return nil
        }
    }
}

extension ObjectName {
    fileprivate init(of key: RecordKey) throws(DecodingFault) {
        let parts = key.name.split(separator: "/", maxSplits: 1)
        guard parts.count == 2 else { throw .invalid("key") }
        self.init(namespace: String(parts[0]), name: String(parts[1]))
    }
}

/// What ``ServiceMerger`` wants changed in the table of frontends.
public struct FrontendChanges: Hashable, Sendable {
    /// In the order of their keys.
    public internal(set) var upserts: [ServiceFrontend] = []
    /// In order; no key is in both lists.
    public internal(set) var deletes: [FrontendKey] = []

    public var isEmpty: Bool { upserts.isEmpty && deletes.isEmpty }
}
