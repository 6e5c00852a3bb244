// SPDX-License-Identifier: Apache-2.0

/// How many bytes are under way on one link, in both directions.
///
/// A sender stops at a window of unacknowledged bytes and goes on when the receiver tells how much
/// has arrived. What isn't sent waits in the log window or in a snapshot, not in a queue.
struct FlowControl: Sendable {
    private var sent: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var received: UInt64 = 0
    private var reported: UInt64 = 0

    /// Whether changes, or a snapshot's part, may be sent. What is sent last may overshoot the
    /// window by one message.
    func admitsChanges() -> Bool {
        sent - acknowledged < ReplicationLimit.unacknowledgedBytes
    }

    func admitsSnapshot() -> Bool {
        sent - acknowledged < ReplicationLimit.unacknowledgedSnapshotBytes
    }

    mutating func didSend(_ count: Int) { sent += UInt64(count) }

    mutating func didAcknowledge(_ count: UInt64) throws(RejectionReason) {
        guard (acknowledged...sent).contains(count) else { throw .invalidAcknowledgement }
        acknowledged = count
    }

    /// - Returns: the count to acknowledge, if it is time to.
    mutating func didReceive(_ count: Int) -> UInt64? {
        received += UInt64(count)
        guard received - reported >= ReplicationLimit.acknowledgeEveryBytes else { return nil }
        reported = received
        return received
    }
}
