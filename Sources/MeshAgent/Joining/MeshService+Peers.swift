// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshModel
import MeshTransport
import MeshTrust

/// What the managed files of the peers folder follow from; they are written anew when it changes.
struct PeersBasis: Equatable {
    let revision: UInt64
    let isComplete: Bool
    let folder: FileStamp
}

extension MeshService {
    /// Clusters that operators' files name.
    var filed: [FiledCluster] {
        let trust = links.security.trust
        return managed.operators().map { _, peer in
            let domain = try? TrustDomain(cluster: peer.name, mesh: configuration.mesh)
            let bundle = domain.flatMap { trust[$0.name] }
            return FiledCluster(
                name: peer.name, id: peer.id, podPrefixes: peer.charter.podPrefixes,
                pins: (bundle?.anchors ?? []).map { KeyPin(of: $0) })
        }
    }

    func writePeers(_ view: TrustView) {
        var basis: PeersBasis {
            PeersBasis(
                revision: view.revision, isComplete: view.isComplete,
                folder: FileStamp(configuration.paths.peers))
        }
        guard basis != writtenFrom || !problems.isEmpty else { return }
        var members: [RosterPeer] = []
        var problems: [String] = []
        for (name, body) in view.members.sorted(by: { $0.key < $1.key }) {
            do throws(DecodingFault) {
                let member = try RosterPeer(encoded: body)
                guard member.description.name.rawValue == name,
                    member.description.mesh == configuration.mesh
                else { throw .invalid("name") }
                members.append(member)
            } catch {
                problems.append("peer/\(name) of this cluster's ledger can't be read: \(error)")
            }
        }
        // What can't be read is no reason to take anybody away.
        problems += managed.write(members, isComplete: view.isComplete && problems.isEmpty)
        for problem in problems where !self.problems.contains(problem) {
            log.error("A peer's file isn't as it should be", metadata: ["problem": "\(problem)"])
        }
        self.problems = problems
        writtenFrom = basis
    }
}
