// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc

/// A TCP connection tried from inside a network namespace, over the path that its own processes take.
public struct ConnectionAttempt: Sendable {
    public let namespace: NetworkNamespace
    public let address: NetworkAddress
    /// Host byte order.
    public let port: UInt16

    public enum Outcome: Hashable, Sendable {
        case connected
        /// A reset came back.
        case refused
        /// An ICMP error came back, or there is no route.
        case unreachable
        /// Nothing came back in time.
        case silent
        /// It couldn't be tried: that says nothing of the other end.
        case failed
    }

    /// What an attempt came to.
    public struct Conclusion: Hashable, Sendable {
        public let outcome: Outcome
        /// This end of a connection that was begun: address, and port in host byte order.
        public let localAddress: NetworkAddress?
        public let localPort: UInt16

        init(_ outcome: Outcome, from local: NetworkAddress? = nil, _ port: UInt16 = 0) {
            self.outcome = outcome
            localAddress = local
            localPort = port
        }
    }

    public init(from namespace: NetworkNamespace, to address: NetworkAddress, port: UInt16) {
        self.namespace = namespace
        self.address = address
        self.port = port
    }

    /// Tries all at the same time, off the threads that tasks run on.
    ///
    /// Who accepts sees a connection that is reset at once: nothing of it lingers on either side.
    ///
    /// - Returns: a conclusion for each attempt, in their order, after `timeout` at the latest.
    /// - Complexity: a socket and a short-lived thread for each attempt.
    public static func conclusions(
        of attempts: [ConnectionAttempt], timeout: Duration
    ) async -> [Conclusion] {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: wait(for: attempts, timeout: timeout))
            }
        }
    }

    /// As ``conclusions(of:timeout:)``; blocks.
    public static func wait(for attempts: [ConnectionAttempt], timeout: Duration) -> [Conclusion] {
        let deadline = ContinuousClock.now + timeout
        var states = attempts.map { $0.begin() }
        while let ready = ready(states, until: deadline) {
            for index in ready { states[index] = states[index].concluded() }
        }
        return states.map { $0.abandoned() }
    }

    private enum State {
        case over(Conclusion)
        /// A socket that is connecting, owned; and how it is over if nothing happens.
        case connecting(Int32, otherwise: Conclusion)

        func concluded() -> State {
            guard case .connecting(let socket, let end) = self else { return self }
            defer { close(socket) }
            func over(_ outcome: Outcome) -> State {
                .over(Conclusion(outcome, from: end.localAddress, end.localPort))
            }
            var failure: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(socket, SOL_SOCKET, SO_ERROR, &failure, &size) == 0
            else { return over(.failed) }
            return over(Outcome(failure))
        }

        func abandoned() -> Conclusion {
            switch self {
            case .over(let conclusion): return conclusion
            case .connecting(let socket, let conclusion):
                close(socket)
                return conclusion
            }
        }
    }

    private func begin() -> State {
        do {
            // The socket stays in the namespace in which it was made; the thread ends.
            return try namespace.run { connect() }
        } catch {
            return .over(Conclusion(.failed))
        }
    }

    private func connect() -> State {
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let socket = socket(Int32(address.family), flags, 0)
        guard socket >= 0 else { return .over(Conclusion(.failed)) }
        var abort = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        guard setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, size) == 0 else {
            close(socket)
            return .over(Conclusion(.failed))
        }
        let failure = start(socket) == 0 ? 0 : errno
        if failure == EINPROGRESS {
            return .connecting(socket, otherwise: silence(of: socket))
        }
        close(socket)
        return .over(Conclusion(Outcome(failure)))
    }

    /// Says where this end is, which the kernel chose when it began to connect.
    private func silence(of socket: Int32) -> Conclusion {
        var name = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        return withUnsafeMutableBytes(of: &name) { bytes in
            guard let start = bytes.baseAddress,
                getsockname(socket, start.assumingMemoryBound(to: sockaddr.self), &size) == 0
            else { return Conclusion(.silent) }
            // Both families have the port behind the family; IPv6 a flow label before the address.
            let port = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            let at = address.isIPv4 ? 4..<8 : 8..<24
            return Conclusion(.silent, from: NetworkAddress(bytes: bytes[at]), port)
        }
    }

    private func start(_ socket: Int32) -> Int32 {
        func connect<Name>(_ name: Name) -> Int32 {
            withUnsafeBytes(of: name) { bytes in
                Glibc.connect(
                    socket, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                    socklen_t(bytes.count))
            }
        }
        if address.isIPv4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: address.bytes) }
            return connect(name)
        }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return connect(name)
    }

    /// Waits until sockets are connected or have failed.
    ///
    /// - Returns: their indexes; nil when none is connecting or time is up.
    private static func ready(
        _ states: [State], until deadline: ContinuousClock.Instant
    ) -> [Int]? {
        var waits: [pollfd] = []
        var indexes: [Int] = []
        for (index, state) in states.enumerated() {
            guard case .connecting(let socket, _) = state else { continue }
            waits.append(pollfd(fd: socket, events: Int16(POLLOUT), revents: 0))
            indexes.append(index)
        }
        guard !waits.isEmpty else { return nil }
        while true {
            let left = deadline - .now
            guard left > .zero else { return nil }
            let milliseconds = Int32(max(0, min(left / .milliseconds(1), 60_000))) + 1
            let count = poll(&waits, nfds_t(waits.count), milliseconds)
            if count > 0 { return zip(waits, indexes).filter { $0.0.revents != 0 }.map(\.1) }
            guard count < 0 && errno == EINTR else { return nil }
        }
    }
}

extension ConnectionAttempt.Outcome {
    /// - Parameter failure: what connecting ended with; 0 for success.
    fileprivate init(_ failure: Int32) {
        switch failure {
        case 0: self = .connected
        case ECONNREFUSED: self = .refused
        case EHOSTUNREACH, ENETUNREACH, EACCES: self = .unreachable
        case ETIMEDOUT: self = .silent
        default: self = .failed
        }
    }
}
