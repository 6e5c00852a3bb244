// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension FlowFilter.Term {
    init(_ text: String) throws(FlowFilter.Fault) {
        var rest = text[...]
        let isExcluded = rest.first == "!"
        if isExcluded { rest = rest.dropFirst() }
        guard let equals = rest.firstIndex(of: "="), !text.contains(where: \.isWhitespace) else {
            throw FlowFilter.Fault(
                description: "'\(text)' is no term of a filter: it has to be FIELD=VALUE")
        }
        var name = rest[..<equals]
        let value = String(rest[rest.index(after: equals)...])
        var side: FlowFilter.Side?
        if let dot = name.firstIndex(of: ".") {
            side = FlowFilter.Side(rawValue: String(name[..<dot]))
            guard side != nil else {
                throw FlowFilter.Fault(
                    description: "'\(text)' names no side of a flow: from. and to. are there")
            }
            name = name[name.index(after: dot)...]
        }
        guard let field = FlowFilter.Field(rawValue: String(name)) else {
            let fields = FlowFilter.Field.allCases.map(\.rawValue).joined(separator: ", ")
            throw FlowFilter.Fault(description: "flows have no '\(name)': they have \(fields)")
        }
        guard side == nil || field.hasSides else {
            throw FlowFilter.Fault(
                description:
                    "'\(text)' is wrong: \(field.rawValue) is the whole flow's, not a side's")
        }
        self.init(
            field: field, side: side, isExcluded: isExcluded,
            value: try Self.read(value, as: field), text: text)
    }

    private static func read(
        _ text: String, as field: FlowFilter.Field
    ) throws(FlowFilter.Fault) -> FlowFilter.Value {
        func fault(_ needs: String) -> FlowFilter.Fault {
            FlowFilter.Fault(description: "\(field.rawValue)=\(text) is wrong: it needs \(needs)")
        }
        func choice(_ choices: [String]) throws(FlowFilter.Fault) -> FlowFilter.Value {
            guard choices.contains(text) else {
                throw fault("one of \(choices.joined(separator: ", "))")
            }
            return .text(text)
        }
        switch field {
        case .verdict: return try choice(Flow.Verdict.allCases.map(\.rawValue))
        case .type: return try choice(Flow.Kind.allCases.map(\.rawValue))
        case .protocol:
            guard !text.isEmpty else { throw fault("a protocol's name, as tcp") }
            return .text(text.lowercased())
        case .reason:
            guard !text.isEmpty else { throw fault("a label of weft drops --all") }
            return .text(text)
        case .node:
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= 2, parts.allSatisfy({ isSubdomain(String($0)) }) else {
                throw fault("NODE or CLUSTER/NODE")
            }
            return .text(text)
        case .namespace, .cluster:
            guard isLabel(text) else { throw fault("a name of a-z, 0-9 and -") }
            return .text(text)
        case .name, .service:
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), isSubdomain(String(parts[parts.count - 1])),
                parts.count == 1 || isLabel(String(parts[0]))
            else { throw fault("NAME or NAMESPACE/NAME") }
            return .object(
                namespace: parts.count == 2 ? String(parts[0]) : nil,
                name: String(parts[parts.count - 1]))
        case .label:
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = parts.first, !key.isEmpty else { throw fault("KEY or KEY=VALUE") }
            return .label(key: String(key), value: parts.count == 2 ? String(parts[1]) : nil)
        case .address:
            guard let prefix = Prefix(text) else { throw fault("an IP address or a prefix") }
            return .prefix(prefix)
        case .port:
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            let ports = parts.compactMap { UInt16($0) }
            guard (1...2).contains(parts.count), ports.count == parts.count,
                ports[0] <= ports[ports.count - 1]
            else { throw fault("a port or a range, as 8000-8999") }
            return .ports(ports[0]...ports[ports.count - 1])
        case .identity:
            guard let number = identity(text) else {
                throw fault("a number, or CLUSTER:NUMBER as the tables show it")
            }
            return .identity(number)
        }
    }

    private static func identity(_ text: String) -> UInt32? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return UInt32(text) }
        guard let cluster = UInt16(parts[0]).flatMap(ClusterID.init(rawValue:)),
            let local = UInt32(parts[1])
        else { return nil }
        return Identity(cluster: cluster, local: local)?.rawValue
    }
}
