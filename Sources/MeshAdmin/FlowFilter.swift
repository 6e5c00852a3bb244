// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Which flows somebody wants to see: what is asked of an agent, and of other nodes on its behalf.
///
/// An expression is a row of terms, `[!][from.|to.]FIELD=VALUE`, with spaces between them. Terms of one
/// field and side are alternatives; each field and side that is named must hold; nothing that is
/// excluded with `!` may. Without a side a term holds if it does at either end.
public struct FlowFilter: Hashable, Sendable {
    public static let termsMaximum = 32
    /// Of the whole expression, UTF-8.
    public static let bytesMaximum = 4096

    public enum Field: String, CaseIterable, Sendable {
        /// Of an end of the flow.
        case namespace, name, label, cluster, address, port, identity, service
        /// Of the flow.
        case verdict, type, `protocol`, reason, node

        public var hasSides: Bool {
            switch self {
            case .namespace, .name, .label, .cluster, .address, .port, .identity, .service: true
            case .verdict, .type, .protocol, .reason, .node: false
            }
        }
    }

    public enum Side: String, Sendable {
        case from, to
    }

    struct Term: Hashable, Sendable {
        let field: Field
        /// Nil: either.
        let side: Side?
        let isExcluded: Bool
        let value: Value
        /// As it was written.
        let text: String
    }

    enum Value: Hashable, Sendable {
        case text(String)
        /// `NAMESPACE/NAME`, or `NAME` in any namespace.
        case object(namespace: String?, name: String)
        /// With a value, or there at all.
        case label(key: String, value: String?)
        case prefix(Prefix)
        case ports(ClosedRange<UInt16>)
        case identity(UInt32)
    }

    /// Why an expression is none: one sentence.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    private(set) var terms: [Term] = []

    /// Everything.
    public init() {}

    /// - Parameter expression: untrusted.
    public init(_ expression: String) throws(Fault) {
        try self.init(terms: expression.split(separator: " ").map(String.init))
    }

    public init(terms texts: [String]) throws(Fault) {
        guard texts.count <= Self.termsMaximum else {
            throw Fault(
                description: "a filter has \(Self.termsMaximum) terms at most, not \(texts.count)")
        }
        let bytes = texts.reduce(max(texts.count - 1, 0)) { $0 + $1.utf8.count }
        guard bytes <= Self.bytesMaximum else {
            throw Fault(
                description: "a filter has \(Self.bytesMaximum) bytes at most, not \(bytes)")
        }
        for text in texts { terms.append(try Term(text)) }
    }

    public var isEmpty: Bool { terms.isEmpty }

    /// What ``init(_:)`` reads.
    public var expression: String { terms.map(\.text).joined(separator: " ") }

    public func matches(_ flow: Flow) -> Bool {
        var wanted: [Question: Bool] = [:]
        for term in terms {
            let holds = term.holds(of: flow)
            if term.isExcluded {
                if holds { return false }
            } else {
                wanted[Question(field: term.field, side: term.side), default: false] =
                    holds || wanted[Question(field: term.field, side: term.side)] == true
            }
        }
        return wanted.values.allSatisfy(\.self)
    }

    private struct Question: Hashable {
        let field: Field
        let side: Side?
    }
}

extension FlowFilter.Term {
    func holds(of flow: Flow) -> Bool {
        switch field {
        case .verdict: value == .text(flow.verdict.rawValue)
        case .type: value == .text(flow.type.rawValue)
        case .protocol: value == .text(flow.transport.lowercased())
        case .reason: flow.reason.map { value == .text($0) } ?? false
        case .node:
            // `alpha/alpha-1`, or the node's own name.
            flow.node.map { node in
                value == .text(node)
                    || value == .text(String(node.drop { $0 != "/" }.dropFirst()))
            } ?? false
        case .namespace, .name, .label, .cluster, .address, .port, .identity, .service:
            switch side {
            case .from: holds(of: flow.source)
            case .to: holds(of: flow.destination)
            case nil: holds(of: flow.source) || holds(of: flow.destination)
            }
        }
    }

    private func holds(of peer: FlowPeer) -> Bool {
        switch value {
        case .text(let text):
            text == (field == .namespace ? peer.namespace : peer.cluster)
        case .object(let namespace, let name):
            if field == .service {
                peer.service.map { service in
                    let parts = service.split(separator: "/", maxSplits: 1)
                    return parts.last.map { $0 == name } == true
                        && (namespace == nil || parts.first.map { $0 == namespace! } == true)
                } ?? false
            } else {
                peer.name == name && (namespace == nil || peer.namespace == namespace)
            }
        case .label(let key, let value):
            peer.labels?[key].map { value == nil || $0 == value } ?? false
        case .prefix(let prefix): Address(peer.address).map(prefix.contains) ?? false
        case .ports(let ports): ports.contains(peer.port)
        case .identity(let number): peer.identity == number
        }
    }
}
