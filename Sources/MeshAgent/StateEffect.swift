// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshReplication
import MeshTransport

/// What ``StateCore`` wants done, in order.
enum StateEffect: Sendable {
    case send([UInt8], over: LinkID)
    case health(HealthInput)
    /// Before anything of the epoch is sent.
    case persistEpoch(UInt32)
    case persistDrain(DrainDeclaration)
    case note(StateNote)
}

enum HealthInput: Sendable {
    case follow(HealthService.Plan)
    case relayReport(RelayReport)
    case heard(NodeID)
    case claim(Message.DeadNodes)
    case moved(ClusterID, Position)
    case announce(head: Position, rollup: RollupHash)
    case declare(DrainDeclaration)
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
    case publisherLost
    case publisherBack
    case opened(epoch: UInt32)
    case publishingFailed(CommitFault)
    case complete
}
