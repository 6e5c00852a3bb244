// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel
import MeshPolicy
import Netlink

/// Servers in all slots, and the connections under way; a byte goes there and comes back.
struct ChurnSockets {
    static let intervalNanoseconds: UInt64 = 4_000_000
    /// How long an answer is waited for: below a second, after which a SYN would be sent again.
    private static let patienceNanoseconds: UInt64 = 400_000_000
    /// What a turn counts at most: on a machine that stands still no answer is late.
    private static let turnMaximum: UInt64 = 20_000_000
    private static let pollMilliseconds: Int32 = 2

    private enum Role {
        case listener
        case echo
        /// Accepted; answers one byte.
        case connection
        case client(Client)
    }

    private struct Client {
        let slot: Int
        let destination: Address
        let traffic: PolicyTraffic
        let start: UInt64
        var patience: UInt64
        var hasSent: Bool
    }

    private let namespaces: [NetworkNamespace]
    private var roles: [Int32: Role] = [:]
    private var clients: Set<Int32> = []
    /// Those that failed at once.
    private var ended: [ChurnFlow] = []
    private var lastTurn = monotonicNanoseconds()

    init(namespaces: [NetworkNamespace]) throws { self.namespaces = namespaces }

    var isIdle: Bool { clients.isEmpty && ended.isEmpty }

    /// Opens the servers of every slot, for both families.
    mutating func listen(_ traffic: [PolicyTraffic]) throws {
        for namespace in namespaces {
            try namespace.enter()
            for kind in traffic {
                let descriptor = try open(kind)
                var off: Int32 = 0
                setsockopt(
                    descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off,
                    socklen_t(MemoryLayout<Int32>.size))
                guard
                    withSocketAddress(.unspecifiedIPv6, kind.port, { bind(descriptor, $0, $1) })
                        == 0,
                    isUDP(kind) || Glibc.listen(descriptor, 128) == 0
                else { throw failure("listen on \(kind)") }
                roles[descriptor] = isUDP(kind) ? .echo : .listener
            }
        }
    }

    /// Sends the first packet of a flow.
    mutating func ask(from slot: Int, _ destination: Address, _ traffic: PolicyTraffic) throws {
        try namespaces[slot].enter()
        let descriptor = try open(traffic)
        // Ends with a reset, so that nothing lingers.
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        var client = Client(
            slot: slot, destination: destination, traffic: traffic, start: monotonicNanoseconds(),
            patience: Self.patienceNanoseconds, hasSent: false)
        let result = withSocketAddress(destination, traffic.port) {
            connect(descriptor, $0, $1)
        }
        guard result == 0 || errno == EINPROGRESS else {
            ended.append(flow(client, passed: false))
            close(descriptor)
            return
        }
        if isUDP(traffic) { client.hasSent = send(descriptor) }
        roles[descriptor] = .client(client)
        clients.insert(descriptor)
    }

    /// Moves on what can be moved on, and gives up what has waited too long.
    mutating func step() throws -> [ChurnFlow] {
        var polled = roles.map { descriptor, role in
            var events = POLLIN
            if case .client(let client) = role, !client.hasSent { events |= POLLOUT }
            return pollfd(fd: descriptor, events: Int16(events), revents: 0)
        }
        let count = poll(&polled, nfds_t(polled.count), Self.pollMilliseconds)
        guard count >= 0 || errno == EINTR else { throw failure("poll") }
        if count > 0 {
            for item in polled where item.revents != 0 {
                try handle(item.fd, Int32(item.revents))
            }
        }
        expire()
        defer { ended = [] }
        return ended
    }

    private mutating func handle(_ descriptor: Int32, _ events: Int32) throws {
        switch roles[descriptor] {
        case .listener:
            let accepted = accept(descriptor, nil, nil)
            guard accepted >= 0 else { return }
            _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
            roles[accepted] = .connection
        case .echo:
            echo(descriptor)
        case .connection:
            var byte: UInt8 = 0
            if recv(descriptor, &byte, 1, 0) == 1 {
                _ = send(descriptor)
            } else {
                forget(descriptor)
            }
        case .client(var client):
            if !client.hasSent, events & (POLLERR | POLLHUP) == 0 {
                client.hasSent = send(descriptor)
                roles[descriptor] = .client(client)
                return
            }
            var byte: UInt8 = 0
            finish(descriptor, client, passed: recv(descriptor, &byte, 1, 0) == 1)
        case nil: break
        }
    }

    private mutating func expire() {
        let now = monotonicNanoseconds()
        let turn = min(now - lastTurn, Self.turnMaximum)
        lastTurn = now
        for descriptor in clients {
            guard case .client(var client) = roles[descriptor] else { continue }
            guard client.patience > turn else {
                finish(descriptor, client, passed: false)
                continue
            }
            client.patience -= turn
            roles[descriptor] = .client(client)
        }
    }

    private mutating func finish(_ descriptor: Int32, _ client: Client, passed: Bool) {
        ended.append(flow(client, passed: passed))
        clients.remove(descriptor)
        forget(descriptor)
    }

    private mutating func forget(_ descriptor: Int32) {
        roles[descriptor] = nil
        close(descriptor)
    }

    private func flow(_ client: Client, passed: Bool) -> ChurnFlow {
        ChurnFlow(
            slot: client.slot, destination: client.destination, traffic: client.traffic,
            start: client.start, end: monotonicNanoseconds(), passed: passed)
    }

    // MARK: System calls

    private func isUDP(_ traffic: PolicyTraffic) -> Bool {
        traffic.protocolNumber == TransportProtocol.udp.rawValue
    }

    /// In the namespace of the calling thread.
    private func open(_ traffic: PolicyTraffic) throws -> Int32 {
        let type = (isUDP(traffic) ? SOCK_DGRAM : SOCK_STREAM).rawValue
        let flags = type | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(AF_INET6, Int32(flags), 0)
        guard descriptor >= 0 else { throw failure("open a socket") }
        return descriptor
    }

    private func send(_ descriptor: Int32) -> Bool {
        var byte: UInt8 = 0x77
        return Glibc.send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL)) == 1
    }

    private func echo(_ descriptor: Int32) {
        var byte: UInt8 = 0
        var peer = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        withUnsafeMutablePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                guard recvfrom(descriptor, &byte, 1, 0, peer, &size) == 1 else { return }
                _ = sendto(descriptor, &byte, 1, Int32(MSG_NOSIGNAL), peer, size)
            }
        }
    }

    /// IPv4 addresses as IPv6 writes them: one socket serves both.
    private func withSocketAddress(
        _ address: Address, _ port: UInt16,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var storage = sockaddr_in6()
        storage.sin6_family = sa_family_t(AF_INET6)
        storage.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &storage.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }

    private func failure(_ action: String) -> LabError {
        LabError(.failed, "\(action): \(String(cString: strerror(errno)))")
    }
}

extension Address {
    fileprivate static let unspecifiedIPv6 = Address(high: 0, low: 0)
}
