// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshModel
import MeshReplication
import MeshTransport

// MARK: What the log says of what the state core and the links tell

extension StateService {
    func note(_ refusal: LinkRefusal, at now: Instant) {
        guard !refusal.reason.isRoutine else { return }
        count("link_refused")
        refusals = refusals.filter { now - $0.value.last < Refusal.lifetime }
        let name = refusal.peer.map { "\($0)" } ?? refusal.remote.map { "\($0.address)" }
        guard let name, refusals[name] != nil || refusals.count < Refusal.maximum else { return }
        let reason = "\(refusal.reason)"
        let known = refusals[name].flatMap { $0.reason == reason ? $0.since : nil }
        refusals[name] = Refusal(reason: reason, since: known ?? now, last: now)
    }

    func note(_ note: StateNote) {
        switch note {
        case .linkUp(let node): log.info("A link is up", metadata: ["peer.node": "\(node)"])
        case .linkDown(let node): log.info("A link is down", metadata: ["peer.node": "\(node)"])
        case .undecodable(let node, let fault):
            count("message_undecodable")
            log.warning(
                "A message can't be read",
                metadata: ["peer.node": "\(node)", "error": "\(fault)"])
        case .outOfTurn(let node, let what):
            count("message_out_of_turn")
            log.warning(
                "A node speaks of what isn't its own",
                metadata: ["peer.node": "\(node)", "message": "\(what)"])
        case .rejected(let reason, let node):
            count("ledger_rejected")
            let sender = node.map(String.init(describing:)) ?? "-"
            let rejection = Rejection(node: node, reason: reason.label)
            let isNew = rejections[rejection] == nil
            rejections[rejection, default: 0] += 1
            log.log(
                level: isNew ? .warning : .debug, "A ledger message is rejected",
                metadata: ["peer.node": "\(sender)", "reason": "\(reason)"])
        case .refused(let cluster, let reason):
            count("record_refused")
            log.warning(
                "A record is refused",
                metadata: ["peer.cluster": "\(cluster)", "reason": "\(reason)"])
        case .frozen(let cluster, let position):
            log.error(
                "A cluster signed two histories: its state stays as it is until its next epoch",
                metadata: ["peer.cluster": "\(cluster)", "position": "\(position)"])
        case .thawed(let cluster, let position):
            log.notice(
                "A frozen cluster goes on",
                metadata: ["peer.cluster": "\(cluster)", "position": "\(position)"])
        case .relaysChosen(let set):
            log.notice(
                "This cluster's relays change",
                metadata: [
                    "relays": "\(set.relays.joined(separator: ","))",
                    "generation": "\(set.generation)",
                ])
        case .departure(let phase, let waitsFor):
            log.notice(
                "This node's departure goes on",
                metadata: ["phase": "\(phase)", "open": "\(waitsFor.joined(separator: "; "))"])
        case .publisherLost:
            log.warning("The publisher doesn't answer: going by the nodes' own reports")
        case .publisherBack: log.notice("The publisher answers")
        case .leaseAcquired(let token):
            log.notice("This node holds the publisher's lease", metadata: ["token": "\(token)"])
        case .leaseLost(let reason):
            log.warning("The publisher's lease is lost", metadata: ["reason": "\(reason)"])
        case .leaseUnanswered(let error):
            count("lease_unanswered")
            log.debug("The lease store doesn't answer", metadata: ["error": "\(error)"])
        case .delegationFailed(let error):
            log.error(
                "The cluster's CA can't delegate the ledger", metadata: ["error": "\(error)"])
        case .restored(let owner, let position, let records):
            log.notice(
                "A ledger is read from disk",
                metadata: [
                    "cluster": "\(owner)", "position": "\(position)", "records": "\(records)",
                ])
        case .unrestored(let owner, let fault):
            count("journal_unusable")
            log.error(
                "A ledger on disk can't be used: it comes back from other nodes",
                metadata: ["cluster": "\(owner)", "error": "\(fault)"])
        case .opened(let epoch):
            log.notice("The ledger is open", metadata: ["epoch": "\(epoch)"])
        case .publishingFailed(let fault):
            count("publish_failed")
            log.error("A change can't be published", metadata: ["error": "\(fault)"])
        case .complete: log.notice("Every cluster's state is here")
        }
    }
}
