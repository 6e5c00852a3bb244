// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import Synchronization

extension DatagramSocket {
    /// Asks a node's kernel, without waiting, from the first socket, whether its agent has a lease.
    /// What answers is in ``answers``, within a second or never.
    ///
    /// - Parameter remote: the node's underlay address and health port: nothing answers elsewhere.
    /// - Returns: false, and counted, when 64 probes are outstanding or the socket isn't bound.
    @discardableResult
    public func send(probe peer: NodeID, to remote: TransportAddress) -> Bool {
        do throws(TransportRejection) {
            let nonce = UInt64.random(in: .min ... .max)
            let datagram = try probes.withLock { probes throws(TransportRejection) in
                try probes.ask(peer, at: remote, nonce: nonce, at: .monotonicNow)
            }
            let isTaken = transmit(datagram, to: remote) { [statistics] isSent in
                if isSent {
                    statistics.update { $0.probesSent &+= 1 }
                } else {
                    statistics.count(.probeUnsent)
                }
            }
            guard isTaken else { throw .probeUnsent }
            return true
        } catch {
            statistics.count(error)
            return false
        }
    }

    func receiveAnswer(
        _ datagram: [UInt8], from source: TransportAddress, at now: Instant
    ) throws(TransportRejection) {
        let answer = try probes.withLock { probes throws(TransportRejection) in
            try probes.take(datagram, from: source, at: now)
        }
        statistics.update { $0.probesAnswered &+= 1 }
        if case .dropped = answersContinuation.yield(answer) { statistics.count(.probeLost) }
    }
}
