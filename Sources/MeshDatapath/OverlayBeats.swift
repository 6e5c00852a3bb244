// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CMeshABI
public import MeshModel
internal import Synchronization

/// A datagram that came through the overlay.
public struct OverlayBeat: Hashable, Sendable {
    /// The sender's underlay address, as the outer header says it.
    public let source: Address
    /// 1...1,024 bytes, for whoever holds the key to judge.
    public let datagram: [UInt8]
}

/// The overlay as a way for the agent's own datagrams, between nodes of different clusters: with the
/// tunnel metadata of the workloads' packets, through the program that takes these in. They are frames
/// of a protocol of their own, which no endpoint is sent and no host forwards.
public final class OverlayBeats: Sendable {
    public static let datagramMaximum = WEFT_BEAT_BYTES_MAX

    /// Readable while beats wait; owned by this value.
    public let descriptor: Int32
    private let sender: Program
    private let ring: Mutex<RingBuffer>

    // Nothing throws here: see the note in BPFMap.
    init(sender: consuming Program, ring: consuming RingBuffer) {
        self.sender = sender
        descriptor = ring.pollDescriptor
        self.ring = Mutex(ring)
    }

    /// Sends a datagram to a node, within some microseconds and a system call. What becomes of it
    /// behind the VXLAN device nobody tells.
    ///
    /// Call it on a thread in the node's network namespace.
    /// - Parameters:
    ///   - datagram: 1...1,024 bytes.
    ///   - remote: the node's underlay address.
    /// - Throws: ``DatapathError`` `.invalid` for another length, or when the kernel refused the
    ///   metadata or the frame: nothing was sent.
    public func send(_ datagram: [UInt8], to remote: Address) throws(DatapathError) {
        guard (1...Self.datagramMaximum).contains(datagram.count) else {
            throw .invalid("a datagram of \(datagram.count) bytes doesn't fit into a beat")
        }
        let run: TestRun
        do {
            run = try sender.testRun(
                data: BeatFrame.header + datagram, context: BeatFrame.context(to: remote))
        } catch {
            throw .kernel(error)
        }
        guard run.returnValue == 0 else {
            throw .invalid(
                "the overlay didn't take a beat to \(remote): \(Int32(bitPattern: run.returnValue))"
            )
        }
    }

    /// Hands over the beats that wait.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func consume(_ body: (OverlayBeat) -> Void) throws(DatapathError) -> Int {
        do {
            return try ring.withLock { ring throws(BPFError) in
                try ring.consume { bytes in
                    if let beat = OverlayBeat(record: bytes) { body(beat) }
                }
            }
        } catch {
            throw .kernel(error)
        }
    }
}

extension OverlayBeat {
    init?(record bytes: UnsafeRawBufferPointer) {
        let header = MemoryLayout<weft_beat>.size
        guard bytes.count >= header else { return nil }
        let record = bytes.loadUnaligned(as: weft_beat.self)
        let length = Int(record.length)
        guard (1...OverlayBeats.datagramMaximum).contains(length), bytes.count >= header + length
        else { return nil }
        source = Address(record.outer)
        datagram = Array(bytes[header..<header + length])
    }
}

/// What `weft_send_beat` is given.
enum BeatFrame {
    /// Between gateways: no device has this address, and none would take the frame.
    private static let gateway: [UInt8] = [0x02, 0x00, 0x77, 0x65, 0x66, 0x74]
    static let header =
        gateway + gateway
        + [UInt8(truncatingIfNeeded: WEFT_BEAT_PROTOCOL >> 8), UInt8(WEFT_BEAT_PROTOCOL & 0xff)]

    /// `struct __sk_buff` is 192 bytes long; `cb` begins at 48, and the rest has to be zero.
    private static let contextBytes = 192
    private static let controlOffset = 48

    static func context(to remote: Address) -> [UInt8] {
        var context = [UInt8](repeating: 0, count: contextBytes)
        withUnsafeBytes(of: weft_address(remote)) {
            context.replaceSubrange(controlOffset..<controlOffset + $0.count, with: $0)
        }
        return context
    }
}
