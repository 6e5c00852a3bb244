// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust
import NIOCore
import NIOSSL

/// One connection from TLS to link: introduces this node, judges the peer, then carries frames.
final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = FrameDecoder.Message

    /// Nil on connections that the peer dialled.
    private let target: LinkTarget?
    private let service: LinkService
    private let verification: PeerVerification
    private let activity: LinkActivity
    private let half = HeartbeatKeys.Half()

    private enum State {
        case introducing
        case up(LinkConnection)
        case finished
    }
    private var state = State.introducing
    private var hasSaidHello = false
    private var deadline: Scheduled<Void>?
    private var ticks: RepeatedTask?
    private var lastTick = NIODeadline.now()

    init(
        target: LinkTarget?, service: LinkService, verification: PeerVerification,
        activity: LinkActivity
    ) {
        self.target = target
        self.service = service
        self.verification = verification
        self.activity = activity
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(
            in: TimeAmount(service.configuration.timing.handshake)
        ) {
            let (handler, context) = loopBound.value
            handler.refuse(.handshakeTimeout, context)
        }
    }

    /// Also the end of a connection that was never made.
    func handlerRemoved(context: ChannelHandlerContext) { finish() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let command = event as? CloseCommand {
            if case .up(let connection) = state {
                end(connection, command.reason, context)
            } else {
                abort(context)
            }
            return
        }
        // TLS reports its completion by an event; a dialler's own verification is done by then.
        if target != nil, !hasSaidHello, case .success(let peer)? = verification.result,
            case .introducing = state, isVerified(context)
        {
            hasSaidHello = true
            sayHello(to: peer, context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let message = unwrapInboundIn(data)
        switch state {
        case .introducing: introduce(message, context)
        case .up(let connection): receive(message, connection, context)
        case .finished: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .introducing:
            refuse(refusal(for: error), context)
        case .up(let connection):
            guard let fault = error as? FrameFault else {
                return end(connection, .closedByPeer, context)
            }
            service.statistics.count(rejection(for: fault))
            end(connection, fault == .truncated ? .closedByPeer : .protocolViolation, context)
        case .finished: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch state {
        case .introducing: refuse(.closedByPeer, context)
        case .up(let connection): end(connection, .closedByPeer, context)
        case .finished: break
        }
        context.fireChannelInactive()
    }

    // MARK: Introduction

    private func sayHello(to peer: PeerVerification.Peer, _ context: ChannelHandlerContext) {
        if let reason = service.objection(to: peer.identity, at: target) {
            return refuse(reason, context)
        }
        write(.hello, service.hello(with: half).encoded, context)
    }

    private func introduce(_ message: FrameDecoder.Message, _ context: ChannelHandlerContext) {
        guard isVerified(context), case .success(let peer)? = verification.result
        else { return refuse(.unverifiedSession, context) }
        switch (message.kind, target) {
        case (.refusal, .some):
            let words = String(decoding: message.payload.prefix(256), as: UTF8.self)
            refuse(.refusedByPeer(words), context)
        case (.hello, nil), (.helloAck, .some):
            do throws(RefusalReason) {
                let hello = try decode(message.payload)
                let (link, connection) = try service.admit(
                    hello, from: peer, half: half, isInitiator: target != nil,
                    channel: context.channel)
                becomeUp(link, connection, context)
            } catch {
                refuse(error, context)
            }
        default:
            refuse(.malformed("a frame before the introduction"), context)
        }
    }

    private func decode(_ payload: [UInt8]) throws(RefusalReason) -> Hello {
        do throws(DecodingFault) { return try Hello(decoding: payload) } catch {
            if case .unsupportedVersion(let version) = error { throw .unsupportedVersion(version) }
            throw .malformed("\(error)")
        }
    }

    private func becomeUp(
        _ link: Link, _ connection: LinkConnection, _ context: ChannelHandlerContext
    ) {
        if target == nil { write(.helloAck, service.hello(with: half).encoded, context) }
        endIntroduction()
        state = .up(connection)
        activity.heard = .now()
        lastTick = .now()
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let period = TimeAmount(service.configuration.timing.keepalive)
        ticks = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
            let (handler, context) = loopBound.value
            handler.tick(connection, context)
        }
        service.linkIsUp(link)
    }

    // MARK: Traffic

    private func receive(
        _ message: FrameDecoder.Message, _ connection: LinkConnection,
        _ context: ChannelHandlerContext
    ) {
        switch message.kind {
        case .keepalive: break
        case .data:
            connection.queued(message.payload.count)
            service.received(message.payload, on: connection)
        case .refusal:
            end(connection, .closedByPeer, context)
        case .hello, .helloAck:
            service.statistics.count(.unexpectedFrame)
            end(connection, .protocolViolation, context)
        }
    }

    private func tick(_ connection: LinkConnection, _ context: ChannelHandlerContext) {
        let (now, timing) = (NIODeadline.now(), service.configuration.timing)
        // Neither an unread socket nor this process's own stall is the peer's silence.
        let isLate = now - lastTick > TimeAmount(timing.keepalive * 2)
        if connection.isPaused || isLate { activity.heard = now }
        lastTick = now
        if now - activity.heard > TimeAmount(timing.deadAfter) {
            service.statistics.count(.silentPeer)
            return end(connection, .silent, context)
        }
        if !connection.takeSentMark() { write(.keepalive, [], context) }
    }

    private func write(_ kind: Frame.Kind, _ payload: [UInt8], _ context: ChannelHandlerContext) {
        let buffer = Frame.encode(kind, payload, allocator: context.channel.allocator)
        context.writeAndFlush(NIOAny(buffer), promise: nil)
    }

    // MARK: The end

    private func refuse(_ reason: RefusalReason, _ context: ChannelHandlerContext) {
        guard case .introducing = state else { return }
        var peer: PeerIdentity?
        if case .success(let verified)? = verification.result { peer = verified.identity }
        service.refused(
            reason, peer: peer, remote: TransportAddress(context.remoteAddress) ?? target?.remote)
        guard peer != nil, context.channel.isActive, isVerified(context) else {
            return abort(context)
        }
        // Authenticated peers are told why before the connection closes.
        finish()
        write(.refusal, Array(reason.description.utf8.prefix(256)), context)
        context.close(promise: nil)
    }

    private func end(
        _ connection: LinkConnection, _ reason: LinkDownReason, _ context: ChannelHandlerContext
    ) {
        service.linkIsDown(connection, reason)
        abort(context)
    }

    /// Closes the socket itself: a polite end of TLS would keep what the peer doesn't read.
    private func abort(_ context: ChannelHandlerContext) {
        finish()
        if let tls = try? context.pipeline.syncOperations.context(handlerType: NIOSSLHandler.self) {
            tls.close(promise: nil)
        } else {
            context.close(promise: nil)
        }
    }

    private func endIntroduction() {
        guard case .introducing = state else { return }
        deadline?.cancel()
        if target == nil { service.handshakeEnded() }
    }

    private func finish() {
        endIntroduction()
        state = .finished
        ticks?.cancel()
    }

    private func isVerified(_ context: ChannelHandlerContext) -> Bool {
        let tls = try? context.pipeline.syncOperations.handler(type: NIOSSLHandler.self)
        return tls?.peerValidatedCertificateChain != nil
    }

    private func refusal(for error: any Error) -> RefusalReason {
        if case .failure(let error)? = verification.result { return .trust(error) }
        switch error as? FrameFault {
        case .oversized(let bytes): return .oversizedFrame(bytes: bytes)
        case .malformed(let what): return .malformed(what)
        case .truncated: return .truncatedFrame
        case nil: return .tls(Self.words(of: error))
        }
    }

    /// The TLS library's errors carry paths of its sources: only the name it gives is for people.
    private static func words(of error: any Error) -> String {
        let text = "\(error)"
        let marker = "OPENSSL_internal:"
        guard let name = text.firstRange(of: marker)?.upperBound else {
            return String(text.prefix(200))
        }
        return String(text[name...].prefix { $0.isLetter || $0.isNumber || $0 == "_" })
    }

    private func rejection(for fault: FrameFault) -> TransportRejection {
        switch fault {
        case .oversized: .oversizedFrame
        case .malformed: .malformedFrame
        case .truncated: .truncatedFrame
        }
    }
}

/// When the peer was last heard, shared by the handlers of one channel, on its event loop.
final class LinkActivity {
    var heard = NIODeadline.now()
}
