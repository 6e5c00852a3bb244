// SPDX-License-Identifier: Apache-2.0

/// A flow that somebody asks about: `SRC DST[:PORT]`.
public struct WhyQuestion: Hashable, Sendable {
    /// What it consists of.
    public enum Traffic: Hashable, Sendable {
        /// `TCP`, `UDP` or `SCTP`, and the port that the source sends to.
        case port(transport: String, number: UInt16)
        /// An echo request.
        case icmp
    }

    /// `[CLUSTER:][NAMESPACE/]NAME`, an address, `world`, `host` or `remote-node`.
    public let source: String
    /// The same, without its port.
    public let destination: String
    /// Nil: not said.
    public let traffic: Traffic?

    /// - Parameters:
    ///   - destination: `shop/web`, `shop/web:80`, `beta:shop/dns:53/udp`, `10.96.0.7:80`,
    ///     `[fd00::7]:80`, `fd00::7`, `shop/web:icmp`.
    ///   - traffic: `80`, `53/udp`, `icmp`; nil if it stands behind the destination, or nowhere.
    /// - Throws: ``AdminFault`` `.invalidRequest`.
    public init(
        from source: String, to destination: String, traffic: String?
    ) throws(AdminFault) {
        let (name, port) = Self.split(destination)
        guard traffic == nil || port == nil else {
            throw AdminFault(
                .invalidRequest,
                "the port is named twice, in '\(destination)' and as '\(traffic ?? "")'",
                hint: "say it once: weft why \(source) \(destination)")
        }
        guard !source.isEmpty, !name.isEmpty else {
            throw AdminFault(
                .invalidRequest, "a flow needs a source and a destination",
                hint: "weft why shop/web-0 shop/db:5432")
        }
        self.source = source
        self.destination = name
        self.traffic = try (traffic ?? port).map { text throws(AdminFault) in
            try Traffic(text)
        }
    }

    /// What names the destination, and the port behind it.
    private static func split(_ text: String) -> (name: String, port: String?) {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            let rest = text[text.index(after: end)...]
            let name = String(text[text.index(after: text.startIndex)..<end])
            return (name, rest.hasPrefix(":") ? String(rest.dropFirst()) : nil)
        }
        let colons = text.count { $0 == ":" }
        // An IPv6 address without brackets has no port: it couldn't be told from its last group.
        guard let last = text.lastIndex(of: ":"), colons == 1 || text.contains("/") else {
            return (text, nil)
        }
        let tail = text[text.index(after: last)...]
        let digits = tail.prefix { $0 != "/" }
        guard tail == "icmp" || !digits.isEmpty && digits.allSatisfy(\.isNumber) else {
            return (text, nil)
        }
        return (String(text[..<last]), String(tail))
    }
}

extension WhyQuestion.Traffic {
    /// - Throws: ``AdminFault`` `.invalidRequest`.
    public init(_ text: String) throws(AdminFault) {
        if text.lowercased() == "icmp" {
            self = .icmp
            return
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let transport = parts.count == 1 ? "TCP" : parts[1].uppercased()
        guard (1...2).contains(parts.count), let number = UInt16(parts[0]), number > 0,
            ["TCP", "UDP", "SCTP"].contains(transport)
        else {
            throw AdminFault(
                .invalidRequest, "'\(text)' names no traffic",
                hint: "write 5432, 53/udp, 9000/sctp or icmp")
        }
        self = .port(transport: transport, number: number)
    }

    /// As ``PolicyProvider/trace(from:to:traffic:)`` takes it.
    public func trace(port: UInt16?) -> String {
        switch self {
        case .icmp: "icmp"
        case .port(let transport, let number): "\(port ?? number)/\(transport.lowercased())"
        }
    }
}

extension WhyQuestion.Traffic: CustomStringConvertible {
    public var description: String {
        switch self {
        case .icmp: "ICMP"
        case .port(let transport, let number): "\(transport) \(number)"
        }
    }
}
