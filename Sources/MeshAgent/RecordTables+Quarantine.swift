// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension RecordTables {
    /// Of each cluster that are told; all are counted.
    private static let unreadableShown = 8

    /// Sentences about records that don't decode: the first few of each cluster.
    ///
    /// - Parameter name: of a cluster.
    func unreadable(_ name: (ClusterID) -> String) -> [String] {
        quarantine.sorted { $0.key < $1.key }.flatMap { cluster, faults in
            faults.sorted { $0.key < $1.key }.prefix(Self.unreadableShown).map { key, fault in
                "cluster \(name(cluster)): \(key) \(fault.sentence); what it said before is in force"
            }
        }
    }
}

extension DecodingFault {
    fileprivate var sentence: String {
        switch self {
        case .truncated: "ends too early"
        case .tooLong(let what): "has more \(what) than it may"
        case .invalid(let what): "has an invalid \(what)"
        case .trailingBytes: "goes on after its end"
        case .unsupportedVersion(let version): "is of version \(version), which nobody knows here"
        }
    }
}
