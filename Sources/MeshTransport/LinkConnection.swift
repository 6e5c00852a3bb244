// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import Synchronization

/// The stream under a link: what waits to be sent, and what waits to be taken.
final class LinkConnection: Sendable {
    let id: LinkID
    let channel: any Channel
    /// What the peer presented, to judge it again when the bundles change.
    let presented: [[UInt8]]
    let verifiedAt: Date
    let peerNotAfter: Date
    private let outboundBytesMaximum: Int
    private let inboundBytesMaximum: Int

    private struct State {
        var outboundBytes = 0
        var inboundBytes = 0
        var isPaused = false
        var isClosing = false
        var hasSent = false
    }
    private let state = Mutex(State())

    init(
        id: LinkID, channel: any Channel, presented: [[UInt8]], verifiedAt: Date,
        peerNotAfter: Date, configuration: LinkConfiguration
    ) {
        self.id = id
        self.channel = channel
        self.presented = presented
        self.verifiedAt = verifiedAt
        self.peerNotAfter = peerNotAfter
        outboundBytesMaximum = configuration.outboundBytesMaximum
        inboundBytesMaximum = configuration.inboundBytesMaximum
    }

    enum Sent { case queued, closing, overflow }

    /// Hands bytes to the socket, or says that the peer takes too little: then the caller closes.
    func send(_ buffer: ByteBuffer) -> Sent {
        let bytes = buffer.readableBytes
        let outcome = state.withLock { state -> Sent in
            if state.isClosing { return .closing }
            guard state.outboundBytes + bytes <= outboundBytesMaximum else {
                state.isClosing = true
                return .overflow
            }
            state.outboundBytes += bytes
            state.hasSent = true
            return .queued
        }
        guard case .queued = outcome else { return outcome }
        channel.writeAndFlush(buffer).whenComplete { [self] _ in
            state.withLock { $0.outboundBytes -= bytes }
        }
        return .queued
    }

    /// Whether anything was sent since the last call.
    func takeSentMark() -> Bool {
        state.withLock { state in
            defer { state.hasSent = false }
            return state.hasSent
        }
    }

    /// No reading, no judging of silence.
    var isPaused: Bool { state.withLock { $0.isPaused } }

    /// A frame goes to the reader's queue. On the channel's event loop.
    func queued(_ bytes: Int) {
        let pauses = state.withLock { state -> Bool in
            state.inboundBytes += bytes
            guard !state.isPaused, state.inboundBytes > inboundBytesMaximum else { return false }
            state.isPaused = true
            return true
        }
        if pauses { setReading(false) }
    }

    /// The reader took an event.
    func taken(_ event: LinkEvent) {
        guard case .frame(_, let payload) = event else { return }
        let resumes = state.withLock { state -> Bool in
            state.inboundBytes -= payload.count
            guard state.isPaused, state.inboundBytes <= inboundBytesMaximum / 2 else {
                return false
            }
            state.isPaused = false
            return true
        }
        if resumes { setReading(true) }
    }

    /// Ends the link from any thread.
    func close(_ reason: LinkDownReason) {
        state.withLock { $0.isClosing = true }
        channel.pipeline.fireUserInboundEventTriggered(CloseCommand(reason: reason))
    }

    private func setReading(_ isOn: Bool) {
        // Fails only on a closed channel, which reads no more anyway.
        _ = channel.setOption(.autoRead, value: isOn)
    }
}

/// Tells the handler at the end of the pipeline to end its link.
struct CloseCommand: Sendable {
    let reason: LinkDownReason
}
