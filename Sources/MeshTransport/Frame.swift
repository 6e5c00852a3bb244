// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// What travels on a link: a 32-bit length, network byte order, which counts the rest; one byte of
/// kind; the payload.
public enum Frame {
    /// Largest length field.
    public static let lengthMaximum = 1 << 20
    /// Largest payload: the kind takes one byte.
    public static let payloadMaximum = lengthMaximum - 1
    /// Before the peer has introduced itself.
    static let introductionMaximum = 4 * 1024
    static let headerBytes = 5

    enum Kind: UInt8 {
        case keepalive = 0
        case hello = 1
        case helloAck = 2
        /// UTF-8 words; the sender closes behind it.
        case refusal = 3
        case data = 4
    }

    static func encode(
        _ kind: Kind, _ payload: some Collection<UInt8>, allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: headerBytes + payload.count)
        buffer.writeInteger(UInt32(payload.count + 1))
        buffer.writeInteger(kind.rawValue)
        buffer.writeBytes(payload)
        return buffer
    }
}

/// Why the stream cannot be read on. The link is closed and the reason counted.
enum FrameFault: Error, Hashable {
    case oversized(bytes: Int)
    case malformed(String)
    /// The stream ended within a frame.
    case truncated
}

/// Cuts a stream into frames.
struct FrameDecoder: ByteToMessageDecoder {
    struct Message: Sendable {
        let kind: Frame.Kind
        let payload: [UInt8]
    }
    typealias InboundOut = Message

    let activity: LinkActivity
    /// Raised once the peer has introduced itself.
    var lengthMaximum = Frame.introductionMaximum

    init(activity: LinkActivity) { self.activity = activity }

    mutating func decode(
        context: ChannelHandlerContext, buffer: inout ByteBuffer
    ) throws -> DecodingState {
        // Part of a long frame is a sign of life too.
        activity.heard = .now()
        guard let message = try next(&buffer) else { return .needMoreData }
        // The introduction is one frame; what follows it may be large.
        if message.kind == .hello || message.kind == .helloAck {
            lengthMaximum = Frame.lengthMaximum
        }
        context.fireChannelRead(Self.wrapInboundOut(message))
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        while case .continue = try decode(context: context, buffer: &buffer) {}
        if seenEOF, buffer.readableBytes > 0 {
            buffer.clear()
            throw FrameFault.truncated
        }
        return .needMoreData
    }

    mutating func next(_ buffer: inout ByteBuffer) throws(FrameFault) -> Message? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self)
        else { return nil }
        guard length <= lengthMaximum else { throw .oversized(bytes: Int(length)) }
        guard length > 0 else { throw .malformed("empty frame") }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        guard let byte = buffer.readInteger(as: UInt8.self), let kind = Frame.Kind(rawValue: byte),
            let payload = buffer.readBytes(length: Int(length) - 1)
        else { throw .malformed("unknown kind of frame") }
        return Message(kind: kind, payload: payload)
    }
}
