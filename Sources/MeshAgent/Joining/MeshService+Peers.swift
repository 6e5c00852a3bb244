// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshLease
import MeshModel
import MeshReplication
import MeshTrust

/// What the managed files of the peers folder follow from; they are written anew when it changes.
struct PeersBasis: Equatable {
    let revision: UInt64
    let isComplete: Bool
    let folder: FileStamp
}

extension MeshService {
    /// A node whose picture of its own ledger is older than this takes no peer away.
    private static let ageLimit = Duration.seconds(10)

    func writePeers(_ core: StateCore) {
        let isComplete = isComplete(core)
        var basis: PeersBasis {
            PeersBasis(
                revision: core.tables.trustRevision, isComplete: isComplete,
                folder: FileStamp(configuration.paths.peers))
        }
        guard basis != writtenFrom || !problems.isEmpty else { return }
        var members: [ClusterDescription] = []
        var problems: [String] = []
        for (name, body) in core.tables.members.sorted(by: { $0.key < $1.key }) {
            do throws(DecodingFault) {
                let member = try ClusterDescription(encoded: body)
                guard member.name.rawValue == name, member.mesh == configuration.mesh
                else { throw .invalid("name") }
                members.append(member)
            } catch {
                problems.append("peer/\(name) of this cluster's ledger can't be read: \(error)")
            }
        }
        // What can't be read is no reason to take anybody away.
        problems += managed.write(members, isComplete: isComplete && problems.isEmpty)
        for problem in problems where !self.problems.contains(problem) {
            log.error("A peer's file isn't as it should be", metadata: ["problem": "\(problem)"])
        }
        self.problems = problems
        writtenFrom = basis
    }

    /// Whether the own ledger, as it is here, lacks no peer. A publisher that starts may have to hear
    /// from its home first.
    func isComplete(_ core: StateCore) -> Bool {
        if core.isOpen { return core.book.isComplete(of: configuration.home) }
        guard let age = core.synchroniser.age(of: configuration.cluster, at: .bootNow)
        else { return false }
        return age < Self.ageLimit
    }
}
