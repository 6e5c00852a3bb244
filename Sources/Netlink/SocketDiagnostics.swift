// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A connected socket of a namespace.
public struct ConnectedSocket: Hashable, Sendable {
    public enum Transport: UInt8, Hashable, Sendable, CaseIterable {
        case tcp = 6
        case udp = 17
    }

    public let transport: Transport
    public let local: NetworkAddress
    /// Host byte order.
    public let localPort: UInt16
    /// IPv4 where an IPv6 socket talks to an IPv4-mapped address.
    public let remote: NetworkAddress
    /// Host byte order.
    public let remotePort: UInt16

    /// Family and `struct inet_diag_sockid` as the kernel sent them: they name the socket.
    let family: UInt8
    let identifier: [UInt8]
}

/// Lists and destroys the connected sockets of one network namespace (`sock_diag(7)`).
public struct SocketDiagnostics: ~Copyable {
    /// SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT1/2, CLOSE_WAIT, LAST_ACK, CLOSING: the states in
    /// which somebody may wait for the peer. Neither TIME_WAIT nor LISTEN.
    private static let waitingStates: UInt32 =
        [1, 2, 3, 4, 5, 8, 9, 11].reduce(0) { $0 | 1 << UInt32($1) }

    private var socket: NetlinkSocket

    public init(in namespace: NetworkNamespace) throws(NetlinkError) {
        socket = try NetlinkSocket(
            protocol: NetlinkProtocol.socketDiagnostics, in: namespace)
    }

    /// TCP and connected UDP sockets of both families.
    ///
    /// - Complexity: the kernel walks its socket tables once a transport and family.
    public mutating func connectedSockets() throws(NetlinkError) -> [ConnectedSocket] {
        var sockets: [ConnectedSocket] = []
        for transport in ConnectedSocket.Transport.allCases {
            for family in [UInt8(AF_INET), UInt8(AF_INET6)] {
                let request = Self.request(
                    NetlinkType.socketsByFamily, family, transport,
                    identifier: Array(repeating: 0, count: SocketReply.identifierLength))
                let replies = try socket.dump(request, "list \(transport) sockets")
                sockets += replies.compactMap { ConnectedSocket($0, transport) }
            }
        }
        return sockets
    }

    /// Ends every connected socket for which `matches` says so: its owner, even if it only waits,
    /// sees `ECONNABORTED`; a TCP peer gets a RST.
    ///
    /// - Parameter limit: at most so many are ended in this call.
    /// - Returns: how many were ended; those gone meanwhile don't count.
    /// - Throws: `.unsupported` if the kernel lacks `CONFIG_INET_DIAG_DESTROY`. A socket that can't be
    ///   ended doesn't spare the others: the last such failure is thrown when all were tried.
    public mutating func destroySockets(
        atMost limit: Int = .max, where matches: (ConnectedSocket) -> Bool
    ) throws(NetlinkError) -> Int {
        var count = 0
        var failure: NetlinkError?
        for candidate in try connectedSockets() where matches(candidate) {
            guard count < limit else { break }
            let request = Self.request(
                NetlinkType.socketDestroy, candidate.family, candidate.transport,
                identifier: candidate.identifier)
            do throws(NetlinkError) {
                try socket.perform(request, "destroy socket to \(candidate.remote)")
                count += 1
            } catch  where error.code == .notFound {
                continue
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return count
    }

    /// `struct inet_diag_req_v2`.
    private static func request(
        _ type: UInt16, _ family: UInt8, _ transport: ConnectedSocket.Transport,
        identifier: [UInt8]
    ) -> MessageWriter {
        var message = MessageWriter(type: type)
        message.append(family)
        message.append(transport.rawValue)
        message.append(UInt16(0))  // extensions, padding
        message.append(waitingStates)
        message.append(raw: identifier)
        return message
    }
}

/// `struct inet_diag_msg` up to its `struct inet_diag_sockid`.
private enum SocketReply {
    static let identifierOffset = 4
    static let identifierLength = 48
    static let sourceOffset = 4
    static let destinationOffset = 20
}

extension ConnectedSocket {
    init?(_ message: Message, _ transport: Transport) {
        guard message.type == NetlinkType.socketsByFamily,
            let family = message.payload.number(UInt8.self, at: 0)
        else { return nil }
        let identifier = Array(
            message.payload.dropFirst(SocketReply.identifierOffset)
                .prefix(SocketReply.identifierLength))
        guard identifier.count == SocketReply.identifierLength,
            let localPort = identifier[...].number(UInt16.self, at: 0),
            let remotePort = identifier[...].number(UInt16.self, at: 2),
            let local = Self.address(identifier, at: SocketReply.sourceOffset, family),
            let remote = Self.address(identifier, at: SocketReply.destinationOffset, family)
        else { return nil }
        self.init(
            transport: transport, local: local, localPort: UInt16(bigEndian: localPort),
            remote: remote, remotePort: UInt16(bigEndian: remotePort), family: family,
            identifier: identifier)
    }

    private static func address(
        _ identifier: [UInt8], at offset: Int, _ family: UInt8
    ) -> NetworkAddress? {
        let bytes = identifier[offset..<offset + 16]
        switch Int32(family) {
        case AF_INET: return NetworkAddress(bytes: bytes.prefix(4))
        case AF_INET6:
            let mapped = bytes.prefix(12).elementsEqual(
                Array(repeating: 0, count: 10) + [255, 255])
            return NetworkAddress(bytes: mapped ? bytes.suffix(4) : bytes)
        default: return nil
        }
    }
}
