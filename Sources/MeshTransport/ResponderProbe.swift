// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a node's kernel said in its agent's name. It isn't authenticated: whoever sees a probe can
/// answer it, so an answer may put a death off for as long as other evidence lets it, and never
/// cause one.
public struct ResponderAnswer: Hashable, Sendable {
    public let peer: NodeID
    /// Of the agent that renewed the lease last; another one after every start.
    public let instance: UInt64
    /// Since then, below 10 s, whole milliseconds; the agent renews twice a second.
    public let leaseAge: Duration
    public let roundTrip: Duration
    /// `CLOCK_MONOTONIC`, taken when the datagram was read.
    public let arrival: Instant
}

/// The probes that await their answer.
///
/// A datagram is a kind (1 byte), "wft", the age of the lease in milliseconds (4 bytes), the nonce
/// (8) and the instance (8), in network byte order (`struct weft_probe`); age and instance are zero
/// in a question.
struct ResponderProbe {
    static let questionVersion: UInt8 = 3
    static let answerVersion: UInt8 = 4
    static let outstandingMaximum = 64
    /// How long an answer is waited for.
    static let patience = Duration.seconds(1)
    private static let name = Array("wft".utf8)

    private struct Question {
        let nonce: UInt64
        let peer: NodeID
        let remote: TransportAddress
        let sent: Instant
    }

    /// The oldest first.
    private var outstanding: [Question] = []

    /// - Parameter nonce: random: it is all that an answer is believed for.
    /// - Returns: the datagram.
    /// - Throws: `.probeUnsent` while as many as there may be are outstanding.
    mutating func ask(
        _ peer: NodeID, at remote: TransportAddress, nonce: UInt64, at now: Instant
    ) throws(TransportRejection) -> [UInt8] {
        forget(at: now)
        guard outstanding.count < Self.outstandingMaximum else { throw .probeUnsent }
        outstanding.append(Question(nonce: nonce, peer: peer, remote: remote, sent: now))
        return Self.datagram(Self.questionVersion, age: 0, nonce: nonce, instance: 0)
    }

    /// - Throws: `.probeMalformed`; `.probeUnexpected` for an answer that comes late or twice, from
    ///   elsewhere, or to no question: nothing has changed.
    mutating func take(
        _ datagram: [UInt8], from source: TransportAddress, at now: Instant
    ) throws(TransportRejection) -> ResponderAnswer {
        let (age, nonce, instance) = try Self.parse(datagram)
        forget(at: now)
        guard
            let index = outstanding.firstIndex(where: { $0.nonce == nonce && $0.remote == source })
        else { throw .probeUnexpected }
        let question = outstanding.remove(at: index)
        return ResponderAnswer(
            peer: question.peer, instance: instance, leaseAge: .milliseconds(age),
            roundTrip: now - question.sent, arrival: now)
    }

    private mutating func forget(at now: Instant) {
        outstanding.removeAll { now - $0.sent >= Self.patience }
    }

    static func datagram(_ version: UInt8, age: UInt32, nonce: UInt64, instance: UInt64) -> [UInt8]
    {
        var writer = ByteWriter()
        writer.write(version)
        writer.write(raw: name)
        writer.write(age)
        writer.write(nonce)
        writer.write(instance)
        return writer.bytes
    }

    private static func parse(
        _ datagram: [UInt8]
    ) throws(TransportRejection) -> (age: UInt32, nonce: UInt64, instance: UInt64) {
        do throws(DecodingFault) {
            var reader = ByteReader(datagram)
            let version: UInt8 = try reader.read()
            let name = try reader.read(raw: name.count)
            let fields = (
                age: try reader.read(UInt32.self), nonce: try reader.read(UInt64.self),
                instance: try reader.read(UInt64.self)
            )
            if version == answerVersion, name.elementsEqual(Self.name), reader.isAtEnd {
                return fields
            }
        } catch {}
        throw .probeMalformed
    }
}
