// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The keys in force: one for sending to each peer, and for receiving also its predecessors for a
/// while. Time comes in as an argument.
struct HeartbeatSessions {
    /// How long a replaced key still opens what was on its way.
    static let overlap = Duration.seconds(60)
    /// Keys of one peer that may overlap; the oldest goes first.
    static let receiveKeysMaximum = 4

    private struct Receiver {
        let peer: NodeID
        let keys: HeartbeatKeys
        var window = ReplayWindow()
        /// Nil while the key is the peer's newest.
        var expiry: Instant?
    }

    private var senders: [NodeID: HeartbeatKeys] = [:]
    private var receivers: [UInt64: Receiver] = [:]
    /// Key IDs of each peer, oldest first.
    private var order: [NodeID: [UInt64]] = [:]

    mutating func install(_ keys: HeartbeatKeys, for peer: NodeID, at now: Instant) {
        guard senders[peer] !== keys else { return }
        senders[peer] = keys
        var ids = order[peer] ?? []
        for id in ids where receivers[id]?.expiry == nil {
            receivers[id]?.expiry = now + Self.overlap
        }
        if receivers[keys.receiveKeyID] == nil {
            ids.append(keys.receiveKeyID)
            receivers[keys.receiveKeyID] = Receiver(peer: peer, keys: keys)
        } else {
            receivers[keys.receiveKeyID]?.expiry = nil
        }
        while let oldest = ids.first,
            ids.count > Self.receiveKeysMaximum || isExpired(oldest, at: now)
        {
            receivers[oldest] = nil
            ids.removeFirst()
        }
        order[peer] = ids
    }

    mutating func remove(_ peer: NodeID) {
        senders[peer] = nil
        for id in order.removeValue(forKey: peer) ?? [] { receivers[id] = nil }
    }

    /// - Throws: the reason to count; nothing is sent.
    func seal(
        _ plaintext: [UInt8], for peer: NodeID
    ) throws(TransportRejection) -> [UInt8] {
        guard plaintext.count <= HeartbeatDatagram.plaintextMaximum else {
            throw .heartbeatTooLarge
        }
        guard let keys = senders[peer], let counter = keys.nextCounter() else {
            throw .heartbeatNoKey
        }
        let header = HeartbeatDatagram.Header(keyID: keys.sendKeyID, counter: counter)
        guard let datagram = HeartbeatDatagram.seal(plaintext, header: header, key: keys.sendKey)
        else { throw .heartbeatTooLarge }
        return datagram
    }

    /// Cheap checks come first: length, known key, replay; only then is anything decrypted.
    ///
    /// - Throws: the reason to count; the datagram is ignored.
    mutating func open(
        _ datagram: [UInt8], at now: Instant
    ) throws(TransportRejection) -> (peer: NodeID, plaintext: [UInt8]) {
        guard let header = HeartbeatDatagram.parse(datagram) else { throw .heartbeatMalformed }
        guard let receiver = receivers[header.keyID], !isExpired(header.keyID, at: now)
        else { throw .heartbeatUnknownKey }
        guard receiver.window.admits(header.counter) else { throw .heartbeatReplayed }
        guard
            let plaintext = HeartbeatDatagram.open(
                datagram, header: header, key: receiver.keys.receiveKey)
        else { throw .heartbeatForged }
        receivers[header.keyID]?.window.accept(header.counter)
        return (receiver.peer, plaintext)
    }

    private func isExpired(_ id: UInt64, at now: Instant) -> Bool {
        guard let expiry = receivers[id]?.expiry else { return false }
        return now >= expiry
    }
}
