// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import Synchronization

/// An authenticated heartbeat as it arrived.
public struct HeartbeatArrival: Sendable {
    public let peer: NodeID
    public let plaintext: [UInt8]
    /// `CLOCK_MONOTONIC`, taken when the datagram was read.
    public let arrival: Instant
    /// For display only: a path is known by its key.
    public let source: TransportAddress
}

extension DatagramSocket {
    /// Sends to `peer` with these keys from now on; what it sent under its previous ones is still
    /// accepted for 60 s. Installing the same keys again changes nothing.
    public func install(_ keys: HeartbeatKeys, for peer: NodeID) {
        heartbeatSessions.withLock { $0.install(keys, for: peer, at: .monotonicNow) }
    }

    /// Forgets the peer's keys at once.
    public func remove(_ peer: NodeID) {
        heartbeatSessions.withLock { $0.remove(peer) }
    }

    /// Seals and sends a heartbeat without waiting.
    ///
    /// - Parameters:
    ///   - plaintext: at most ``plaintextMaximum`` bytes.
    ///   - source: one of the addresses given at the start; nil is the first.
    /// - Returns: false, and counted, when there is no key, the text is too long, or no such socket.
    @discardableResult
    public func send(
        _ plaintext: [UInt8], to peer: NodeID, at remote: TransportAddress,
        from source: Address? = nil
    ) -> Bool {
        do throws(TransportRejection) {
            let datagram = try heartbeatSessions.withLock {
                sessions throws(TransportRejection) in try sessions.seal(plaintext, for: peer)
            }
            let isTaken = transmit(datagram, to: remote, from: source) { [statistics] isSent in
                if isSent {
                    statistics.update { $0.heartbeatsSent &+= 1 }
                } else {
                    statistics.count(.heartbeatUnsent)
                }
            }
            guard isTaken else { throw .heartbeatUnsent }
            return true
        } catch {
            statistics.count(error)
            return false
        }
    }

    func receiveHeartbeat(
        _ datagram: [UInt8], from source: TransportAddress, at now: Instant
    ) throws(TransportRejection) {
        let (peer, plaintext) = try heartbeatSessions.withLock {
            sessions throws(TransportRejection) in try sessions.open(datagram, at: now)
        }
        statistics.update { $0.heartbeatsReceived &+= 1 }
        let event = HeartbeatArrival(
            peer: peer, plaintext: plaintext, arrival: now, source: source)
        if case .dropped = heartbeatContinuation.yield(event) { statistics.count(.heartbeatLost) }
    }
}
