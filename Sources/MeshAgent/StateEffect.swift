// SPDX-License-Identifier: Apache-2.0

import MeshLease
import MeshModel
import MeshReachability
import MeshReplication
import MeshTransport

/// What ``StateCore`` wants done, in order.
enum StateEffect: Sendable {
    case send([UInt8], over: LinkID)
    case health(HealthInput)
    /// To be answered with ``StateCore/leaseAnswered(_:to:at:into:)``.
    case lease(LeaseCall)
    /// A replica's next batch, for the journal. Of the own ledger while it is open here,
    /// ``StateCore/durable(through:at:into:)`` follows.
    case append(ClusterID, Position, message: [UInt8])
    /// The journal needs a checkpoint of this replica before its next batch.
    case checkpoint(ClusterID)
    /// A cluster is no peer any more: the journal forgets its replica.
    case forget(ClusterID)
    /// A node of the own cluster wants its key certified.
    case certify(Message.CertificatePurpose, [UInt8], of: NodeID, over: LinkID)
    /// What came of this node's own wish.
    case certified(Message.CertificatePurpose, Message.CertificateAnswer)
    /// Another node of the own cluster wants to see flows of this one's.
    case flowsAsk(FlowAsk, over: LinkID)
    case flowsAnswer(FlowAnswer, from: NodeID)
    /// Another node of the own cluster wants to know about a flow.
    case accountAsk(AccountAsk, from: NodeID, over: LinkID)
    case account(FlowAccount, from: NodeID)
    case persistDrain(DrainDeclaration)
    case persistDeparture(NodeDeparture)
    /// This node's own record reads differently now.
    case tellOwnNode
    /// ``StateCore/linkTargets`` may be others.
    case dial
    case note(StateNote)
}

enum HealthInput: Sendable {
    case follow(HealthService.Plan)
    case relayReport(RelayReport)
    case claim(Message.DeadNodes)
    case moved(ClusterID, Position)
    case announce(relaySet: UInt64, head: Position, rollup: RollupHash)
    case declare(DrainDeclaration)
    case departure(NodeDeparture.Phase)
    /// Nil when the cluster is no longer silent.
    case heardSay(Hearsay?, of: ClusterID)
    /// What this node can do, and does; nil: it can't tell.
    case workload(Workload?)
}

/// What an operator may want to know.
enum StateNote: Sendable {
    case linkUp(NodeID)
    case linkDown(NodeID)
    case undecodable(from: NodeID, DecodingFault)
    /// A node spoke of something that isn't its to say.
    case outOfTurn(from: NodeID, String)
    case rejected(RejectionReason, from: NodeID?)
    case refused(ClusterID, String)
    case frozen(ClusterID, Position)
    case thawed(ClusterID, Position)
    case relaysChosen(RelaySetRecord)
    case departure(NodeDeparture.Phase, waitsFor: [String])
    case publisherLost
    case publisherBack
    case leaseAcquired(token: UInt64)
    case leaseLost(String)
    case leaseUnanswered(String)
    case delegationFailed(String)
    case opened(epoch: UInt32)
    case restored(ClusterID, Position, records: Int)
    case unrestored(ClusterID, RestoreFault)
    case publishingFailed(CommitFault)
    case complete
}
