// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshMembership
import MeshModel
import MeshReachability
import MeshTransport

// MARK: This node takes flows, or leaves

extension HealthService {
    /// What the kernel holds of this node from before: whoever leaves takes no flow for a restart.
    func restoreOwnNode() {
        let held = datapath.nodeWord(own)
        setOwnNode(held.verdict == .draining ? .draining : .up)
    }

    /// What the operator wants of this node, and how far that is.
    func take(_ phase: NodeDeparture.Phase) {
        let former = departure
        departure = phase
        setOwnNode(phase == .serving ? .up : .draining)
        guard phase != former else { return }
        history.note(own.cluster, node: own.name, at: .monotonicNow, Self.sentence(of: phase))
        // Whoever left comes back as a newcomer, above all that was said of the last life.
        if former == .left {
            membership = Membership(
                own: own.name, incarnation: membership.incarnation &+ 1,
                parameters: profile.membership, seed: .random(in: 0...(.max)))
        }
        // Without a plan there is nobody yet to say it to.
        if phase == .left || former == .left, plan != Plan() {
            configureMembership(at: .monotonicNow)
        }
        schedule()
    }

    func configureMembership(at now: Instant) {
        gossip(at: now) { effects in
            membership.configure(
                roster: [own.name] + plan.members.keys.map(\.name),
                // Those of paths that are kept for a while, too: the ones in their place may not be up yet.
                witnesses: monitor.pathIDs.map(\.remote),
                at: now, into: &effects)
            // Said anew in each life: only who has a roster can tell anybody.
            if departure == .left, !plan.members.isEmpty {
                membership.leave(at: now, into: &effects)
            }
        }
    }

    /// Nodes of the own cluster that take no new flows: there is no room on them.
    var leaving: Set<String> {
        let others = plan.draining.filter { $0.cluster == own.cluster }.map(\.name)
        return Set(departure == .serving ? others : others + [own.name])
    }

    /// On which this node sends heartbeats.
    var beatingPaths: Int { monitor.pathIDs.count }

    private func setOwnNode(_ verdict: Verdict) {
        let held = datapath.nodeWord(own)
        datapath.setNode(
            own,
            LivenessWord(
                verdict: verdict, weight: verdict == .up ? .max : 0, generation: held.generation))
    }

    private static func sentence(of phase: NodeDeparture.Phase) -> String {
        switch phase {
        case .serving: "takes new flows again"
        case .draining: "leaves: no new flows, open ones finish"
        case .left: "has left"
        }
    }
}
