// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A policy as its cluster's ledger carries it.
public struct PolicyRecord: LedgerRecord {
    public static let kind = RecordKind.policy
    public let policy: Policy
    public var name: String { policy.name.recordName }

    public init(_ policy: Policy) { self.policy = policy }

    public func encode(into writer: inout ByteWriter) {
        writer.write(name)
        writer.write(policy.tier.rawValue)
        writer.write(UInt16(clamping: policy.priority))
        writer.write(list: policy.sections) { $0.write($1) }
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        guard
            let name = PolicyName(
                recordName: try reader.readString(max: RecordKey.maximumLength, "policy name"))
        else { throw .invalid("policy name") }
        guard let tier = PolicyTier(rawValue: try reader.read()) else { throw .invalid("tier") }
        let priority = Int(try reader.read(UInt16.self))
        guard priority <= Policy.lastPriority else { throw .invalid("priority") }
        policy = Policy(
            name: name, tier: tier, priority: priority,
            sections: try reader.readAll("sections") { reader throws(DecodingFault) in
                try reader.readSection()
            })
    }
}

extension PolicyName {
    /// `NetworkPolicy/shop/db`, `ClusterNetworkPolicy/deny-all`.
    public var recordName: String {
        ([kind.rawValue] + (namespace.isEmpty ? [] : [namespace]) + [name]).joined(separator: "/")
    }

    public init?(recordName text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let kind = parts.first.flatMap(PolicyKind.init), let name = parts.last,
            isSubdomain(name)
        else { return nil }
        switch parts.count {
        case 2: self.init(kind: kind, name: name)
        case 3 where isLabel(parts[1]): self.init(kind: kind, namespace: parts[1], name: name)
        default: return nil
        }
    }
}

// Lists are bounded by the bytes that are there: an element takes one at least.

extension ByteWriter {
    fileprivate mutating func write(_ section: PolicySection) {
        write(section.subject)
        write(section.isolates)
        write(list: section.ingress) { $0.write($1) }
        write(list: section.egress) { $0.write($1) }
        write(section.unused)
    }

    fileprivate mutating func write(_ directions: Set<PolicyDirection>) {
        write(directions.reduce(UInt8(0)) { $0 | 1 << $1.rawValue })
    }

    fileprivate mutating func write(_ rule: PolicyRule) {
        write(rule.path)
        write(rule.name)
        write(rule.action.rawValue)
        write(rule.peers != nil)
        if let peers = rule.peers { write(list: peers) { $0.write($1) } }
        write(rule.ports != nil)
        if let ports = rule.ports { write(list: ports) { $0.write($1) } }
    }

    fileprivate mutating func write(_ selector: EndpointSelector) {
        write(list: selector.requirements) { writer, requirement in
            switch requirement.field {
            case .cluster: writer.write(UInt8(0))
            case .namespace: writer.write(UInt8(1))
            case .namespaceLabel(let key):
                writer.write(UInt8(2))
                writer.write(key)
            case .label(let key):
                writer.write(UInt8(3))
                writer.write(key)
            }
            switch requirement.condition {
            case .isIn(let values):
                writer.write(UInt8(0))
                writer.write(list: values) { $0.write($1) }
            case .isNotIn(let values):
                writer.write(UInt8(1))
                writer.write(list: values) { $0.write($1) }
            case .exists: writer.write(UInt8(2))
            case .doesNotExist: writer.write(UInt8(3))
            }
        }
    }

    fileprivate mutating func write(_ matcher: PeerMatcher) {
        switch matcher {
        case .endpoints(let selector):
            write(UInt8(0))
            write(selector)
        case .network(let network):
            write(UInt8(1))
            write(network.prefix)
            write(list: network.except) { $0.write($1) }
            write(network.worldOnly)
        case .entity(let entity):
            write(UInt8(2))
            write(entity.rawValue)
        }
    }

    private mutating func write(_ prefix: Prefix) {
        write(prefix.address)
        write(prefix.length)
    }

    fileprivate mutating func write(_ matcher: PortMatcher) {
        switch matcher {
        case .range(let number, let ports):
            write(UInt8(0))
            write(number)
            write(ports.lowerBound)
            write(ports.upperBound)
        case .named(let name, let transport):
            write(UInt8(1))
            write(name)
            write(transport?.rawValue ?? 0)
        }
    }
}

extension ByteReader {
    fileprivate mutating func readAll<Element>(
        _ name: String, _ element: (inout ByteReader) throws(DecodingFault) -> Element
    ) throws(DecodingFault) -> [Element] {
        try readList(max: remaining, name, element)
    }

    private mutating func readText(_ name: String) throws(DecodingFault) -> String {
        try readString(max: RecordLimit.text, name)
    }

    fileprivate mutating func readSection() throws(DecodingFault) -> PolicySection {
        PolicySection(
            subject: try readSelector(), isolates: try readDirections(),
            ingress: try readAll("ingress") { reader throws(DecodingFault) in
                try reader.readRule()
            },
            egress: try readAll("egress") { reader throws(DecodingFault) in try reader.readRule() },
            unused: try readDirections())
    }

    private mutating func readDirections() throws(DecodingFault) -> Set<PolicyDirection> {
        let bits = try read(UInt8.self)
        guard bits < 1 << PolicyDirection.allCases.count else { throw .invalid("directions") }
        return Set(PolicyDirection.allCases.filter { bits & 1 << $0.rawValue != 0 })
    }

    private mutating func readRule() throws(DecodingFault) -> PolicyRule {
        let path = try readText("path")
        let name = try readText("rule name")
        guard let action = PolicyAction(rawValue: try readText("action"))
        else { throw .invalid("action") }
        let peers: [PeerMatcher]? =
            try readBool()
            ? try readAll("peers") { reader throws(DecodingFault) in try reader.readPeer() } : nil
        let ports: [PortMatcher]? =
            try readBool()
            ? try readAll("ports") { reader throws(DecodingFault) in try reader.readPort() } : nil
        return PolicyRule(path: path, name: name, action: action, peers: peers, ports: ports)
    }

    private mutating func readSelector() throws(DecodingFault) -> EndpointSelector {
        EndpointSelector(
            try readAll("requirements") { reader throws(DecodingFault) in
                try reader.readRequirement()
            })
    }

    private mutating func readRequirement() throws(DecodingFault) -> SelectorRequirement {
        let field: SelectorField
        switch try read(UInt8.self) {
        case 0: field = .cluster
        case 1: field = .namespace
        case 2: field = .namespaceLabel(try readText("label"))
        case 3: field = .label(try readText("label"))
        default: throw .invalid("field")
        }
        switch try read(UInt8.self) {
        case 0: return SelectorRequirement(field, .isIn(try readValues()))
        case 1: return SelectorRequirement(field, .isNotIn(try readValues()))
        case 2: return SelectorRequirement(field, .exists)
        case 3: return SelectorRequirement(field, .doesNotExist)
        default: throw .invalid("condition")
        }
    }

    private mutating func readValues() throws(DecodingFault) -> [String] {
        let values = try readAll("values") { reader throws(DecodingFault) in
            try reader.readText("label value")
        }
        guard !values.isEmpty else { throw .invalid("values") }
        return values
    }

    private mutating func readPeer() throws(DecodingFault) -> PeerMatcher {
        switch try read(UInt8.self) {
        case 0: return .endpoints(try readSelector())
        case 1:
            let prefix = try readPrefix()
            let except = try readAll("exceptions") { reader throws(DecodingFault) in
                try reader.readPrefix()
            }
            guard except.allSatisfy(prefix.covers) else { throw .invalid("exceptions") }
            return .network(
                PolicyNetwork(prefix: prefix, except: except, worldOnly: try readBool()))
        case 2:
            guard let entity = PolicyEntity(rawValue: try readText("entity"))
            else { throw .invalid("entity") }
            return .entity(entity)
        default: throw .invalid("peer")
        }
    }

    private mutating func readPrefix() throws(DecodingFault) -> Prefix {
        guard let prefix = Prefix(address: try readAddress(), length: try read())
        else { throw .invalid("prefix") }
        return prefix
    }

    private mutating func readPort() throws(DecodingFault) -> PortMatcher {
        switch try read(UInt8.self) {
        case 0:
            let number: UInt8 = try read()
            let first: UInt16 = try read()
            let last: UInt16 = try read()
            guard first <= last else { throw .invalid("ports") }
            return .range(protocolNumber: number, first...last)
        case 1:
            let name = try readText("port name")
            let number: UInt8 = try read()
            guard number == 0 || TransportProtocol(rawValue: number) != nil
            else { throw .invalid("protocol") }
            return .named(name, TransportProtocol(rawValue: number))
        default: throw .invalid("port")
        }
    }
}
