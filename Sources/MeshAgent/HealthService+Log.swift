// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshMembership
import MeshModel
import MeshReachability

// MARK: What the log says of what the health cores tell

extension HealthService {
    func note(_ event: MembershipEvent) {
        switch event {
        case .changed(let change):
            log.log(
                level: change.to >= .suspect ? .notice : .info, "A node's membership changed",
                metadata: [
                    "node": "\(change.name)", "from": "\(change.from)", "to": "\(change.to)",
                    "incarnation": "\(change.incarnation)",
                    "accusers": "\(change.accusers.joined(separator: ","))",
                ])
        case .healthChanged(let from, let to):
            log.debug(
                "This node's trust in itself changed", metadata: ["from": "\(from)", "to": "\(to)"])
        case .refuted(let incarnation, let accusers):
            log.notice(
                "This node was accused and has contradicted",
                metadata: [
                    "incarnation": "\(incarnation)",
                    "accusers": "\(accusers.joined(separator: ","))",
                ])
        case .late(let by): log.debug("This node's timers are late", metadata: ["late": "\(by)"])
        case .isolated(let isIsolated):
            log.warning(
                isIsolated
                    ? "No node of this cluster is heard, nor anybody else: the fault is taken for mine"
                    : "Others are heard again")
        case .rejected(let name, let reason):
            log.debug(
                "Gossip is rejected", metadata: ["node": "\(name)", "reason": "\(reason)"])
        }
    }

    func note(_ change: NodeChange) {
        let text: Logger.Message =
            switch change.word.verdict {
            case .unreachable: "A node is dead"
            case .draining: "A node leaves"
            default: "A node is live"
            }
        log.notice(text, metadata: ["node": "\(change.node)"])
    }

    func note(_ event: PathEvent) {
        switch event {
        case .stateChanged(let path, let from, let to, let missed):
            log.info(
                "A path changed",
                metadata: [
                    "path": "\(path)", "from": "\(from)", "to": "\(to)", "missed": "\(missed)",
                ])
        case .late(let by):
            log.warning("This relay's timers are late: it abstains", metadata: ["late": "\(by)"])
        case .punctualAgain: log.info("This relay's timers are on time again")
        case .ignored(let path, let reason):
            log.debug(
                "A heartbeat is ignored", metadata: ["path": "\(path)", "reason": "\(reason)"])
        case .relaySetChanged: break
        }
    }

    func note(_ event: VerdictEvent) {
        switch event {
        case .verdictChanged(let cluster, let from, let to, let evidence):
            log.notice(
                "A cluster's verdict changed",
                metadata: [
                    "peer.cluster": "\(cluster)", "from": "\(from)", "to": "\(to)",
                    "paths": "\(evidence.counted)", "missed": "\(evidence.missed)",
                    "overlay-only": "\(evidence.isOverlayOnly)",
                ])
        case .selfDoubtBegan(let silent, let inUse):
            log.warning(
                "Most clusters fell silent together: the fault is taken for mine",
                metadata: ["silent": "\(silent)", "in-use": "\(inUse)"])
        case .selfDoubtEnded: log.notice("Self-doubt ended")
        case .suppressed(let cluster, let penalty):
            log.warning(
                "A cluster came and went too often: it stays out for now",
                metadata: ["peer.cluster": "\(cluster)", "penalty": "\(Int(penalty))"])
        case .suppressionEnded(let cluster):
            log.notice("A cluster may return", metadata: ["peer.cluster": "\(cluster)"])
        case .drainDeclared(let cluster, let drain):
            log.notice(
                drain.isDraining ? "A cluster drains" : "A cluster no longer drains",
                metadata: ["peer.cluster": "\(cluster)", "generation": "\(drain.generation)"])
        case .capacityShort(let cluster, let workload):
            log.notice(
                "A cluster has little to spare: its weight falls",
                metadata: [
                    "peer.cluster": "\(cluster)", "capacity": "\(workload.capacity)",
                    "spare": "\(workload.spare)",
                ])
        case .capacityAmple(let cluster):
            log.notice(
                "A cluster has room again: its weight is full",
                metadata: ["peer.cluster": "\(cluster)"])
        }
    }
}
