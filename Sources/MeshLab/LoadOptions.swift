// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshModel

/// Where a load goes: `http://10.0.0.1/`, `http://[fd00::1]:80/bytes/1000`, `udp://10.0.0.1:7`,
/// `udp://10.0.0.1:7/bytes/4000`.
public struct LoadTarget: Hashable, Sendable {
    public let isUDP: Bool
    let address: Address
    /// Host byte order.
    let port: UInt16
    let path: String
    /// Of a question by UDP.
    let datagramBytes: Int

    /// The largest of IPv4, RFC 768.
    private static let datagramBytesMax = 65_507
    static let question = Array("who\n".utf8)

    /// - Throws: ``LabError`` `.invalidFile` naming what is wrong with the URL.
    public init(url: String) throws(LabError) {
        func wrong(_ reason: String) -> LabError {
            LabError(
                .invalidFile,
                "'\(url)' \(reason); a URL is http://ADDRESS[:PORT]/PATH or udp://ADDRESS:PORT")
        }
        let scheme = ["http://", "udp://"].first { url.hasPrefix($0) }
        guard let scheme else { throw wrong("has another scheme than http and udp") }
        isUDP = scheme == "udp://"
        let rest = url.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        self.path = path.isEmpty ? "/" : String(path)
        guard !self.path.contains(where: { $0 == " " || $0.isNewline }) else {
            throw wrong("has a space")
        }
        let bytes = "/bytes/"
        if isUDP, self.path.hasPrefix(bytes) {
            guard let count = Int(self.path.dropFirst(bytes.count)),
                (Self.question.count...Self.datagramBytesMax).contains(count)
            else { throw wrong("asks for a datagram of no possible size") }
            datagramBytes = count
        } else {
            datagramBytes = Self.question.count
        }
        let isBracketed = authority.hasPrefix("[")
        guard !isBracketed || authority.contains("]") else { throw wrong("lacks a bracket") }
        let host =
            isBracketed
            ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
        let tail = authority.dropFirst(host.count + (isBracketed ? 2 : 0))
        guard let address = Address(String(host)) else { throw wrong("names no IP address") }
        self.address = address
        if tail.isEmpty, !isUDP {
            port = 80
        } else {
            guard tail.first == ":", let number = UInt16(tail.dropFirst()), number > 0 else {
                throw wrong("has no port")
            }
            port = number
        }
    }

    /// An IPv4 socket for an IPv4 address, as ordinary programs use.
    var family: Int32 { address.isIPv4 ? AF_INET : AF_INET6 }

    func withSocketAddress<Value>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) -> Value {
        func call<Storage>(_ storage: Storage) -> Value {
            withUnsafePointer(to: storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<Storage>.size))
                }
            }
        }
        if let value = address.ipv4 {
            var storage = sockaddr_in()
            storage.sin_family = sa_family_t(AF_INET)
            storage.sin_port = port.bigEndian
            storage.sin_addr.s_addr = value.bigEndian
            return call(storage)
        }
        var storage = sockaddr_in6()
        storage.sin6_family = sa_family_t(AF_INET6)
        storage.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &storage.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return call(storage)
    }
}

/// What ``LabLoad`` does.
public struct LoadOptions: Sendable {
    public var target: LoadTarget
    /// Between the starts of two requests, each on a connection of its own, whatever became of the
    /// earlier ones. Zero: the next starts when one ended. Nil: none.
    public var interval: Duration?
    /// Ends when as many requests have; nil: goes on.
    public var count: Int?
    /// With an interval of zero: requests under way at a time.
    public var concurrency = 1
    /// From a request's start to its answer's end.
    public var timeout = Duration.seconds(5)
    /// Connections that each repeat their request.
    public var talkers = 0
    /// Between a talker's answer and its next request.
    public var talkInterval = Duration.milliseconds(100)
    /// Connections that ask once who serves them and then only wait.
    public var idlers = 0
    /// UDP talkers that don't connect their socket.
    public var isUnconnected = false
    /// Nil: until killed.
    public var duration: Duration?
    /// Only the last line.
    public var summaryOnly = false

    public init(target: LoadTarget) { self.target = target }
}
