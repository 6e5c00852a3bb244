// SPDX-License-Identifier: Apache-2.0

import MeshModel
public import MeshTrust
import NIOCore
public import NIOPosix
import NIOSSL
import Synchronization

/// Why a question to an ``EnrolmentServer`` has no answer. Nobody learned anything but the question,
/// and only when the other side's certificates were accepted.
public enum EnrolmentError: Error, Hashable, Sendable {
    case unreachable(TransportAddress, reason: String)
    /// Its certificates aren't those of whoever was meant.
    case distrusted(TransportAddress, TrustError)
    /// It closed without a word, or said more than ``EnrolmentLimit/answerBytes``.
    case unanswered(TransportAddress)
}

extension EnrolmentError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let address, let reason):
            "\(address) can't be reached (\(reason)): check the address and that weftd runs there"
        case .distrusted(let address, let error): "\(address) isn't who was meant: \(error)"
        case .unanswered(let address):
            "\(address) gave no answer: it is busy, or no authority of its cluster; try again"
        }
    }
}

/// Asks an ``EnrolmentServer`` one question.
public enum EnrolmentClient {
    /// - Parameters:
    ///   - question: what to ask whoever presents these certificates (DER; leaf first, root last), at
    ///     most ``EnrolmentLimit/questionBytes``. Nothing is sent if it throws.
    /// - Returns: the answer, at most ``EnrolmentLimit/answerBytes``.
    public static func ask(
        _ server: TransportAddress, group: MultiThreadedEventLoopGroup = .singleton,
        question: @escaping @Sendable ([[UInt8]]) async throws(TrustError) -> [UInt8]
    ) async throws(EnrolmentError) -> [UInt8] {
        let objection = Mutex<TrustError?>(nil)
        let (questions, prepared) = AsyncStream.makeStream(of: [UInt8].self)
        let connection: Exchange.Channel
        do {
            connection = try await connect(to: server, group) { presented in
                do throws(TrustError) {
                    prepared.yield(try await question(presented))
                    return true
                } catch {
                    objection.withLock { $0 = error }
                    return false
                }
            }
        } catch {
            throw .unreachable(server, reason: String("\(error)".prefix(200)))
        }
        let deadline = connection.channel.eventLoop.scheduleTask(
            in: TimeAmount(EnrolmentLimit.deadline)
        ) { connection.channel.close(mode: .all, promise: nil) }
        defer { deadline.cancel() }
        connection.channel.closeFuture.whenComplete { _ in prepared.finish() }
        var answer: [UInt8]?
        do {
            answer = try await connection.executeThenClose { inbound, outbound in
                guard let question = await questions.first(where: { _ in true })
                else { return nil }
                try await outbound.write(Exchange.frame(question))
                return try await inbound.first { _ in true }
            }
        } catch {
            answer = nil  // whatever ended it, it wasn't answered
        }
        if let objection = objection.withLock({ $0 }) { throw .distrusted(server, objection) }
        guard let answer else { throw .unanswered(server) }
        return answer
    }

    private static func connect(
        to server: TransportAddress, _ group: MultiThreadedEventLoopGroup,
        judge: @escaping @Sendable ([[UInt8]]) async -> Bool
    ) async throws -> Exchange.Channel {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates([])
        configuration.certificateVerification = .noHostnameVerification
        configuration.minimumTLSVersion = .tlsv13
        let context = try NIOSSLContext(configuration: configuration)
        return try await ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(EnrolmentLimit.deadline))
            .connect(to: server.socketAddress()) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(
                            context: context, serverHostname: nil,
                            customVerificationCallback: { certificates, promise in
                                promise.completeWithTask {
                                    // What the TLS library holds always serialises.
                                    let presented = try certificates.map { try $0.toDERBytes() }
                                    return await judge(presented)
                                        ? .certificateVerified : .failed
                                }
                            }))
                    return try Exchange.channel(
                        channel, bytesMaximum: EnrolmentLimit.answerBytes)
                }
            }
    }
}

/// A 32-bit length in network byte order, which counts what follows.
enum Exchange {
    typealias Channel = NIOAsyncChannel<[UInt8], ByteBuffer>

    /// - Parameter bytesMaximum: of the one message that is read.
    static func channel(_ channel: any NIOCore.Channel, bytesMaximum: Int) throws -> Channel {
        try channel.pipeline.syncOperations.addHandler(
            ByteToMessageHandler(Decoder(bytesMaximum: bytesMaximum)))
        return try Channel(wrappingChannelSynchronously: channel)
    }

    static func frame(_ message: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32(message.count))
        buffer.writeBytes(message)
        return buffer
    }

    static func close(_ channel: Channel) async {
        // Closed already is closed.
        try? await channel.executeThenClose { _, _ in }
    }

    private struct Decoder: ByteToMessageDecoder {
        typealias InboundOut = [UInt8]
        let bytesMaximum: Int

        func decode(
            context: ChannelHandlerContext, buffer: inout ByteBuffer
        ) throws -> DecodingState {
            guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self)
            else { return .needMoreData }
            guard length <= bytesMaximum
            else { throw FrameFault.oversized(bytes: Int(length)) }
            guard buffer.readableBytes >= 4 + Int(length) else { return .needMoreData }
            buffer.moveReaderIndex(forwardBy: 4)
            context.fireChannelRead(
                Self.wrapInboundOut(buffer.readBytes(length: Int(length)) ?? []))
            return .continue
        }

        func decodeLast(
            context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
        ) throws -> DecodingState {
            while case .continue = try decode(context: context, buffer: &buffer) {}
            buffer.clear()
            return .needMoreData
        }
    }
}
