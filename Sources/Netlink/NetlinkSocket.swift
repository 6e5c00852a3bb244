// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

/// A synchronous netlink socket: a request, then its acknowledgement or its dump.
///
/// The socket stays in the network namespace in which it was opened, whatever thread uses it.
struct NetlinkSocket: ~Copyable {
    /// The kernel answers at once; this only bounds what a fault costs.
    static let replyTimeoutSeconds = 10
    /// The kernel's dumps come in datagrams of at most 32 KiB.
    static let receiveBufferLength = 65_536
    /// A dump that the kernel reports as torn by a change is asked for again this often.
    static let dumpAttemptsMax = 8
    static let dumpMessagesMax = 1 << 20

    private let descriptor: FileDescriptor
    private var sequence: UInt32 = 0
    private var buffer: [UInt8]

    /// - Parameter namespace: nil opens it in the namespace of the calling thread.
    init(protocol number: Int32, in namespace: NetworkNamespace?) throws(NetlinkError) {
        let opened: Result<FileDescriptor, Errno>
        if let namespace {
            opened = try namespace.onThread { Self.open(number) }
        } else {
            opened = Self.open(number)
        }
        switch opened {
        case .success(let value): descriptor = value
        case .failure(let errno): throw NetlinkError(errno, operation: "open netlink socket")
        }
        buffer = Array(repeating: 0, count: Self.receiveBufferLength)
    }

    deinit {
        // The descriptor is ours alone; a failing close leaves nothing to do.
        _ = Glibc.close(descriptor.rawValue)
    }

    /// Sends a change and waits for its acknowledgement.
    mutating func perform(_ message: MessageWriter, _ operation: String) throws(NetlinkError) {
        var message = message
        message.addFlags(NetlinkFlag.acknowledge)
        _ = try transact(message, operation)
    }

    /// Asks for one object and returns its messages.
    mutating func query(
        _ message: MessageWriter, _ operation: String
    ) throws(NetlinkError) -> [Message] {
        var message = message
        message.addFlags(NetlinkFlag.acknowledge)
        return try transact(message, operation)
    }

    /// Asks for all objects; a dump torn by a concurrent change is repeated.
    mutating func dump(
        _ message: MessageWriter, _ operation: String
    ) throws(NetlinkError) -> [Message] {
        var message = message
        message.addFlags(NetlinkFlag.dump)
        for _ in 0..<Self.dumpAttemptsMax {
            let messages = try transact(message, operation)
            if !messages.contains(where: { $0.flags & NetlinkFlag.dumpInterrupted != 0 }) {
                return messages
            }
        }
        throw NetlinkError(
            code: .busy, operation: operation, message: "changed during every attempt to read it")
    }

    private mutating func transact(
        _ message: MessageWriter, _ operation: String
    ) throws(NetlinkError) -> [Message] {
        sequence &+= 1
        let bytes = message.finished(sequence: sequence)
        var sent: Int
        repeat {
            sent = bytes.withUnsafeBytes { send(descriptor.rawValue, $0.baseAddress, $0.count, 0) }
        } while sent < 0 && errno == EINTR
        guard sent == bytes.count else {
            throw NetlinkError(Errno(rawValue: errno), operation: operation)
        }
        var replies: [Message] = []
        while true {
            for reply in try receive(operation) where reply.sequence == sequence {
                switch reply.type {
                case NetlinkType.done, NetlinkType.error:
                    try Acknowledgement(reply, operation).check(operation)
                    return replies
                default:
                    guard replies.count < Self.dumpMessagesMax else {
                        throw NetlinkError(
                            code: .malformedReply, operation: operation,
                            message: "more than \(Self.dumpMessagesMax) objects")
                    }
                    replies.append(reply)
                }
            }
        }
    }

    private mutating func receive(_ operation: String) throws(NetlinkError) -> [Message] {
        var count: Int
        repeat {
            count = buffer.withUnsafeMutableBytes {
                // MSG_TRUNC: the real length, even of what doesn't fit.
                recv(descriptor.rawValue, $0.baseAddress, $0.count, Int32(MSG_TRUNC))
            }
        } while count < 0 && errno == EINTR
        guard count >= 0 else { throw NetlinkError(Errno(rawValue: errno), operation: operation) }
        guard count <= buffer.count, let messages = Message.split(Array(buffer[..<count])[...])
        else {
            throw NetlinkError(
                code: .malformedReply, operation: operation, message: "\(count) bytes")
        }
        return messages
    }

    private static func open(_ number: Int32) -> Result<FileDescriptor, Errno> {
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_NETLINK, type, number)
        guard descriptor >= 0 else { return .failure(Errno(rawValue: errno)) }
        var timeout = timeval(tv_sec: replyTimeoutSeconds, tv_usec: 0)
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        // Comfort, not need: an old kernel that refuses these only gives poorer messages.
        for option in [NetlinkOption.capAcknowledgement, NetlinkOption.extendedAcknowledgement] {
            setsockopt(descriptor, NetlinkOption.level, option, &on, size)
        }
        return .success(FileDescriptor(rawValue: descriptor))
    }
}

/// The kernel's last word on a request: `NLMSG_ERROR` or `NLMSG_DONE`.
struct Acknowledgement {
    private static let messageAttribute: UInt16 = 1

    /// 0, or an error number.
    let errno: Int32
    let message: String?

    init(_ reply: Message, _ operation: String) throws(NetlinkError) {
        // A dump without a single object may end with an empty `NLMSG_DONE`.
        let status =
            reply.payload.isEmpty && reply.type == NetlinkType.done
            ? 0 : reply.payload.number(Int32.self, at: 0)
        guard let status, status <= 0, status > Int32.min else {
            throw NetlinkError(
                code: .malformedReply, operation: operation, message: "acknowledgement")
        }
        errno = -status
        guard reply.flags & NetlinkFlag.acknowledgementAttributes != 0 else {
            message = nil
            return
        }
        // Behind the error: the request, or only its header if it is capped; DONE has neither.
        var offset = 4
        if reply.type == NetlinkType.error {
            let capped = reply.flags & NetlinkFlag.acknowledgementCapped != 0
            let request = reply.payload.number(UInt32.self, at: 4) ?? 0
            offset += capped ? MessageWriter.headerLength : (Int(request) + 3) & ~3
        }
        message = Attributes(reply.payload.dropFirst(offset))?.text(Self.messageAttribute)
    }

    func check(_ operation: String) throws(NetlinkError) {
        guard errno != 0 else { return }
        throw NetlinkError(Errno(rawValue: errno), operation: operation, message: message)
    }
}
