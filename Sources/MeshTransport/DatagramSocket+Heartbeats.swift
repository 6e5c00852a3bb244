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
    /// It came through the overlay, not through this socket.
    public let isInside: Bool
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

    /// Whether heartbeats can go through the overlay as well.
    public var hasInside: Bool { inside != nil }

    /// Seals a heartbeat and sends it through the overlay.
    ///
    /// - Parameters:
    ///   - plaintext: at most ``plaintextMaximum`` bytes.
    ///   - remote: the peer's underlay address.
    /// - Returns: false, and counted, when there is no key, the text is too long, or the overlay
    ///   doesn't take it.
    @discardableResult
    public func send(inside plaintext: [UInt8], to peer: NodeID, at remote: Address) -> Bool {
        do throws(TransportRejection) {
            let datagram = try heartbeatSessions.withLock {
                sessions throws(TransportRejection) in try sessions.seal(plaintext, for: peer)
            }
            guard let inside, inside(datagram, remote) else { throw .heartbeatUnsent }
            statistics.update {
                $0.heartbeatsSent &+= 1
                $0.heartbeatsSentInside &+= 1
            }
            return true
        } catch {
            statistics.count(error)
            return false
        }
    }

    /// Takes a datagram as it came through the overlay: heartbeats only.
    ///
    /// - Parameter source: the sender's underlay address.
    public func receive(inside datagram: [UInt8], from source: Address, at now: Instant) {
        receive(
            datagram, from: TransportAddress(address: source, port: 0), isInside: true, at: now)
    }

    func receiveHeartbeat(
        _ datagram: [UInt8], from source: TransportAddress, isInside: Bool, at now: Instant
    ) throws(TransportRejection) {
        let (peer, plaintext) = try heartbeatSessions.withLock {
            sessions throws(TransportRejection) in try sessions.open(datagram, at: now)
        }
        statistics.update {
            $0.heartbeatsReceived &+= 1
            if isInside { $0.heartbeatsReceivedInside &+= 1 }
        }
        let event = HeartbeatArrival(
            peer: peer, plaintext: plaintext, arrival: now, source: source, isInside: isInside)
        if case .dropped = heartbeatContinuation.yield(event) { statistics.count(.heartbeatLost) }
    }
}
