// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust

/// A cluster that an operator's file names: whoever joins can't have what it has.
struct FiledCluster: Sendable {
    let name: ClusterName
    let id: ClusterID
    let podPrefixes: [Prefix]
    /// Of the roots by which it is known; empty if they can't be read.
    let pins: [KeyPin]

    /// Whether the file is about this very cluster: it may join what it was a peer of.
    fileprivate func isSame(as other: ClusterDescription) -> Bool {
        name == other.name && id == other.id && pins.contains(where: other.pins.contains)
    }
}

extension [FiledCluster] {
    /// Why a newcomer can't join beside them; nil if it can.
    func refusal(of newcomer: ClusterDescription) -> JoinRefusal? {
        for filed in self where !filed.isSame(as: newcomer) {
            if let refusal = filed.refusal(of: newcomer.name, id: newcomer.id) { return refusal }
            for own in newcomer.charter.podPrefixes {
                if let other = filed.podPrefixes.first(where: { $0.overlaps(own) }) {
                    return .overlappingAddresses(own: own, other: other, holder: filed.name)
                }
            }
        }
        return nil
    }

    /// Whether a token for this name and ID could be used; nil if so.
    func refusal(of name: ClusterName, id: ClusterID) -> JoinRefusal? {
        lazy.compactMap { filed -> JoinRefusal? in
            // One of the same name and ID may be the same cluster: its roots tell, later.
            filed.name == name && filed.id == id ? nil : filed.refusal(of: name, id: id)
        }.first
    }
}

extension FiledCluster {
    fileprivate func refusal(of name: ClusterName, id: ClusterID) -> JoinRefusal? {
        if self.name == name { return .duplicateName(name) }
        return self.id == id ? .duplicateID(id, holder: self.name) : nil
    }
}
