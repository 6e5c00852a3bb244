// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Why something that a peer sent was not taken. The replica keeps its state and position; whoever
/// drives it counts the reason, and may close the link when ``isViolation``.
public enum RejectionReason: Error, Hashable, Sendable {
    /// The bytes are no message of this protocol.
    case malformed(DecodingFault)
    /// A newer peer's message kind: ignored.
    case unknownMessage(UInt8)
    /// No key is configured for this owner: ignored.
    case unknownOwner(ClusterID)
    /// The link may not carry this owner.
    case ownerNotAllowed(ClusterID)
    /// The header isn't signed with the key that its owner delegated for its epoch.
    case badSignature(ClusterID)
    /// The delegation is missing or not one of the owner's CA.
    case badDelegation(ClusterID)
    /// The delegation has ended: the owner's publisher or this node's clock is wrong.
    case expiredDelegation(ClusterID)
    /// A shard's body doesn't have the hash that the signed header gives.
    case bodyMismatch(ClusterID, shard: Int)
    /// A changed shard was left out that this replica wants.
    case missingShard(ClusterID, shard: Int)
    /// A snapshot leaves out shards that this replica wants.
    case missingShards(ClusterID)
    /// The owner changes more than its charter allows: taken later.
    case overRate(ClusterID)
    /// Signed by its owner, and still no valid body: the owner's publisher is broken.
    case malformedBody(ClusterID, DecodingFault)
    /// The batch makes a bucket larger than a snapshot can carry: the owner's publisher is broken.
    case bucketFull(ClusterID)
    /// The batch doesn't lead to the state that its header signs: this replica's state or the
    /// publisher's is damaged. A snapshot is asked for.
    case stateMismatch(ClusterID)
    /// The owner signed two histories; this one is not followed until its next epoch.
    case frozen(ClusterID)
    /// A snapshot's bucket hashes don't add up to the root that its header signs.
    case rootMismatch(ClusterID)
    /// A bucket of a snapshot doesn't have its hash: the link's snapshots are no longer taken.
    case bucketMismatch(ClusterID, bucket: Int)
    /// A chunk out of turn, or a batch of another history than this replica's by a writer whose
    /// delegation isn't here: the peer shows it once it hears where this replica stands.
    case unexpectedMessage(ClusterID)
    /// More bytes acknowledged than were sent, or fewer than before.
    case invalidAcknowledgement

    /// Whether an honest peer would never cause it. The rest happens between versions, while
    /// configurations differ, or through the owner's own fault.
    public var isViolation: Bool {
        switch self {
        case .malformed, .ownerNotAllowed, .badSignature, .badDelegation, .bodyMismatch,
            .rootMismatch, .bucketMismatch, .invalidAcknowledgement:
            true
        case .unknownMessage, .unknownOwner, .expiredDelegation, .missingShard, .missingShards,
            .overRate, .malformedBody, .bucketFull, .stateMismatch, .frozen, .unexpectedMessage:
            false
        }
    }

    /// A name for metrics, of a bounded set.
    public var label: String {
        switch self {
        case .malformed: "malformed"
        case .unknownMessage: "unknown_message"
        case .unknownOwner: "unknown_owner"
        case .ownerNotAllowed: "owner_not_allowed"
        case .badSignature: "bad_signature"
        case .badDelegation: "bad_delegation"
        case .expiredDelegation: "expired_delegation"
        case .bodyMismatch: "body_mismatch"
        case .missingShard: "missing_shard"
        case .missingShards: "missing_shards"
        case .overRate: "over_rate"
        case .malformedBody: "malformed_body"
        case .bucketFull: "bucket_full"
        case .stateMismatch: "state_mismatch"
        case .frozen: "frozen"
        case .rootMismatch: "root_mismatch"
        case .bucketMismatch: "bucket_mismatch"
        case .unexpectedMessage: "unexpected_message"
        case .invalidAcknowledgement: "invalid_acknowledgement"
        }
    }
}
