// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

/// The dialects of cluster-wide policies: upstream renamed most of it between versions.
struct ClusterPolicyDialect: Sendable {
    let kind: PolicyKind
    let actions: [(name: String, action: PolicyAction)]
    let maximumRules: Int
    let maximumPeers: Int
    let portsField: String
    let maximumPorts: Int

    /// `policy.networking.k8s.io/v1alpha2`.
    static let clusterNetworkPolicy = ClusterPolicyDialect(
        kind: .clusterNetworkPolicy,
        actions: [("Accept", .accept), ("Deny", .deny), ("Pass", .pass)],
        maximumRules: 25, maximumPeers: 25, portsField: "protocols", maximumPorts: 25)

    /// `policy.networking.k8s.io/v1alpha1`.
    static let adminNetworkPolicy = ClusterPolicyDialect(
        kind: .adminNetworkPolicy,
        actions: [("Allow", .accept), ("Deny", .deny), ("Pass", .pass)],
        maximumRules: 100, maximumPeers: 100, portsField: "ports", maximumPorts: 100)

    /// `policy.networking.k8s.io/v1alpha1`; there is one in a cluster.
    static let baselineAdminNetworkPolicy = ClusterPolicyDialect(
        kind: .baselineAdminNetworkPolicy,
        actions: [("Allow", .accept), ("Deny", .deny)],
        maximumRules: 100, maximumPeers: 100, portsField: "ports", maximumPorts: 100)
}

extension Policy {
    init(
        clusterWide root: ManifestField, _ dialect: ClusterPolicyDialect
    ) throws(ManifestFault) {
        let name = try clusterScopedName(of: root)
        let spec = try root["spec"]
        var fields: Set<String> = ["subject", "ingress", "egress"]
        var tier = PolicyTier.admin
        var priority = Policy.lastPriority
        switch dialect.kind {
        case .baselineAdminNetworkPolicy:
            tier = .baseline
            guard name == "default" else {
                throw try root["metadata"]["name"].fault("is \"\(name)\"; must be default")
            }
        case .clusterNetworkPolicy:
            fields.formUnion(["tier", "priority"])
            switch try spec["tier"].requiredString() {
            case "Admin": tier = .admin
            case "Baseline": tier = .baseline
            case let text: throw try spec["tier"].fault("is \"\(text)\"; must be Admin or Baseline")
            }
            priority = try spec["priority"].requiredPriority()
        default:
            fields.insert("priority")
            priority = try spec["priority"].requiredPriority()
        }
        try spec.allow(only: fields)
        self.init(
            name: PolicyName(kind: dialect.kind, name: name), tier: tier, priority: priority,
            sections: [
                PolicySection(
                    subject: try spec["subject"].clusterPolicySubject(),
                    ingress: try spec["ingress"].clusterPolicyRules("from", dialect),
                    egress: try spec["egress"].clusterPolicyRules("to", dialect))
            ])
    }
}

extension ManifestField {
    fileprivate func requiredPriority() throws(ManifestFault) -> Int {
        guard let priority = try integer(in: Policy.priorities) else {
            throw fault("is missing; must be 0...1000")
        }
        return priority
    }

    fileprivate func clusterPolicySubject() throws(ManifestFault) -> EndpointSelector {
        guard !isNull else { throw fault("is missing") }
        try allow(only: ["namespaces", "pods"])
        return try selectedPods(onlyField(of: ["namespaces", "pods"]))
    }

    /// - Parameter form: `namespaces` or `pods`.
    private func selectedPods(_ form: String) throws(ManifestFault) -> EndpointSelector {
        let field = try self[form]
        if form == "namespaces" { return EndpointSelector(try field.selector(.namespace)) }
        try field.allow(only: ["namespaceSelector", "podSelector"])
        return EndpointSelector(
            try field["namespaceSelector"].selector(.namespace)
                + field["podSelector"].selector(.pod))
    }

    fileprivate func clusterPolicyRules(
        _ side: String, _ dialect: ClusterPolicyDialect
    ) throws(ManifestFault) -> [PolicyRule] {
        var rules: [PolicyRule] = []
        for rule in try elements(max: dialect.maximumRules) {
            try rule.allow(only: ["name", "action", side, dialect.portsField])
            let action = try rule["action"].requiredString()
            guard let action = dialect.actions.first(where: { $0.name == action })?.action else {
                throw try rule["action"].fault(
                    "is \"\(action)\"; must be one of "
                        + dialect.actions.map(\.name).joined(separator: ", "))
            }
            let nameField = try rule["name"]
            let name = try nameField.string() ?? ""
            guard name.count <= 100 else { throw nameField.fault("is longer than 100 characters") }
            var peers: [PeerMatcher] = []
            for peer in try rule[side].requiredElements(max: dialect.maximumPeers) {
                peers += try peer.clusterPolicyPeers(side)
            }
            var ports: [PortMatcher]?
            let list = try rule[dialect.portsField]
            if !list.isNull {
                ports = []
                for port in try list.requiredElements(max: dialect.maximumPorts) {
                    ports? += try port.clusterPolicyPorts(dialect)
                }
            }
            guard !peers.contains(where: \.isNetwork) || !(ports ?? []).contains(where: \.isNamed)
            else { throw list.fault("asks networks for a port by name, which they don't have") }
            rules.append(
                PolicyRule(path: rule.path, name: name, action: action, peers: peers, ports: ports))
        }
        return rules
    }

    private func clusterPolicyPeers(_ side: String) throws(ManifestFault) -> [PeerMatcher] {
        let forms: Set<String> =
            side == "to" ? ["namespaces", "pods", "networks"] : ["namespaces", "pods"]
        try allow(
            only: forms,
            unsupported: [
                "nodes": "select nodes by their addresses, with networks",
                "domainNames": "names are not resolved; use networks",
            ])
        let form = try onlyField(of: forms)
        guard form == "networks" else { return [.endpoints(try selectedPods(form))] }
        var peers: [PeerMatcher] = []
        for network in try self[form].requiredElements(max: 25) {
            peers.append(.network(PolicyNetwork(prefix: try network.prefix())))
        }
        return peers
    }

    private func clusterPolicyPorts(
        _ dialect: ClusterPolicyDialect
    ) throws(ManifestFault) -> [PortMatcher] {
        switch dialect.kind {
        case .clusterNetworkPolicy: try clusterPolicyProtocol()
        default: try adminPolicyPort()
        }
    }

    /// An element of `protocols`, v1alpha2.
    private func clusterPolicyProtocol() throws(ManifestFault) -> [PortMatcher] {
        let forms: Set<String> = ["tcp", "udp", "sctp", "destinationNamedPort"]
        try allow(only: forms)
        let form = try onlyField(of: forms)
        let field = try self[form]
        let transport: TransportProtocol
        switch form {
        case "tcp": transport = .tcp
        case "udp": transport = .udp
        case "sctp": transport = .sctp
        default: return [.named(try field.portName(), nil)]
        }
        try field.allow(only: ["destinationPort"])
        let port = try field["destinationPort"]
        guard !port.isNull else { throw port.fault("is missing") }
        try port.allow(only: ["number", "range"])
        guard try port.onlyField(of: ["number", "range"]) == "range" else {
            let number = try port["number"].requiredPort()
            return [.range(protocolNumber: transport.rawValue, number...number)]
        }
        let range = try port["range"]
        try range.allow(only: ["start", "end"])
        return [.range(protocolNumber: transport.rawValue, try range.portRange())]
    }

    /// An element of `ports`, v1alpha1.
    private func adminPolicyPort() throws(ManifestFault) -> [PortMatcher] {
        let forms: Set<String> = ["portNumber", "portRange", "namedPort"]
        try allow(only: forms)
        let form = try onlyField(of: forms)
        let field = try self[form]
        switch form {
        case "portNumber":
            try field.allow(only: ["protocol", "port"])
            let number = try field["port"].requiredPort()
            let transport = try field["protocol"].transport() ?? .tcp
            return [.range(protocolNumber: transport.rawValue, number...number)]
        case "portRange":
            try field.allow(only: ["protocol", "start", "end"])
            let transport = try field["protocol"].transport() ?? .tcp
            return [.range(protocolNumber: transport.rawValue, try field.portRange())]
        default:
            return [.named(try field.portName(), nil)]
        }
    }

    /// From `start` to `end`, which upstream wants to be greater.
    private func portRange() throws(ManifestFault) -> ClosedRange<UInt16> {
        let start = try self["start"].requiredPort()
        let end = try self["end"].requiredPort()
        guard start < end else {
            throw try self["end"].fault("is \(end), which is not greater than start, \(start)")
        }
        return start...end
    }
}

extension PeerMatcher {
    fileprivate var isNetwork: Bool { if case .network = self { true } else { false } }
}

extension PortMatcher {
    fileprivate var isNamed: Bool { if case .named = self { true } else { false } }
}
