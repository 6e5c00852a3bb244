// SPDX-License-Identifier: Apache-2.0

import MeshModel
import OrderedCollections

/// What no evidence goes beyond.
extension BackendHealth {
    /// Whether every service of a backend can do without it, too.
    func mayQuarantine(
        _ backend: BackendKey, _ topology: BackendTopology, _ isLive: (NodeID) -> Bool
    ) -> Bool {
        guard held.count < parameters.quarantineMaximum else { return false }
        return (topology.servicesOf[backend] ?? []).allSatisfy { index in
            fits(topology.services[index], with: backend, isLive)
        }
    }

    /// Gives back what a service can't do without any more, the longest in quarantine first, and what
    /// no service has.
    mutating func releaseUnneeded(
        _ topology: BackendTopology, isLive: (NodeID) -> Bool, at now: Instant,
        into effects: inout BackendHealthEffects
    ) {
        for backend in Array(held.keys) {
            guard let services = topology.servicesOf[backend] else {
                if topology.isComplete { release(backend, .gone, at: now, into: &effects) }
                continue
            }
            // One whose node is dead serves nobody, in quarantine or not.
            guard topology.node(of: backend).map(isLive) == true else { continue }
            if !services.allSatisfy({ fits(topology.services[$0], with: backend, isLive) }) {
                release(backend, .needed, at: now, into: &effects)
            }
        }
    }

    /// Whether a service keeps enough backends with `backend` and all others in quarantine left out.
    private func fits(
        _ service: BackendTopology.Service, with backend: BackendKey, _ isLive: (NodeID) -> Bool
    ) -> Bool {
        let live = service.members.filter { isLive($0.node) }
        let out = live.filter { $0.backend == backend || held[$0.backend] != nil }
        guard out.count < live.count else { return false }
        guard let cluster = service.members.first(where: { $0.backend == backend })?.node.cluster
        else { return true }
        return isWithinBound(out.count, of: live.count)
            && isWithinBound(
                out.count { $0.node.cluster == cluster },
                of: live.count { $0.node.cluster == cluster })
    }

    private func isWithinBound(_ out: Int, of live: Int) -> Bool {
        out <= max(1, Int(Double(live) * parameters.shareMaximum))
    }
}
