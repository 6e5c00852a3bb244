// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

extension Policy {
    /// `cilium.io/v2` CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy: what decides by labels,
    /// entities, addresses, ports and ICMP types.
    init(cilium root: ManifestField, _ kind: PolicyKind) throws(ManifestFault) {
        let name: PolicyName
        if kind == .ciliumNetworkPolicy {
            let object = try ObjectName(manifest: root)
            name = PolicyName(kind: kind, namespace: object.namespace, name: object.name)
        } else {
            name = PolicyName(kind: kind, name: try clusterScopedName(of: root))
        }
        var sections: [PolicySection] = []
        let spec = try root["spec"]
        if !spec.isNull { sections.append(try spec.ciliumSection(in: name.namespace)) }
        for section in try root["specs"].elements(max: PolicyBound.rules) {
            sections.append(try section.ciliumSection(in: name.namespace))
        }
        guard !sections.isEmpty else { throw spec.fault("is missing") }
        self.init(name: name, tier: .standard, sections: sections)
    }
}

extension ManifestField {
    /// - Parameter namespace: empty for cluster-wide policies.
    fileprivate func ciliumSection(in namespace: String) throws(ManifestFault) -> PolicySection {
        try allow(
            only: [
                "endpointSelector", "ingress", "ingressDeny", "egress", "egressDeny",
                "enableDefaultDeny", "description", "labels", "log",
            ], unsupported: ["nodeSelector": "policies are for endpoints, not for nodes"])
        let selector = try self["endpointSelector"]
        var requirements = try selector.selector(.cilium)
        if !namespace.isEmpty {
            requirements.append(SelectorRequirement(.namespace, .isIn([namespace])))
            if let contradiction = EndpointSelector(requirements).contradiction {
                throw selector.fault(
                    "selects nothing in namespace \(namespace): it \(contradiction)")
            }
        }
        let ingress = try ciliumRules("ingress", "from", namespace)
        let egress = try ciliumRules("egress", "to", namespace)
        let switches = try self["enableDefaultDeny"]
        try switches.allow(only: ["ingress", "egress"])
        var isolates: Set<PolicyDirection> = []
        if try switches["ingress"].bool() ?? !ingress.isEmpty { isolates.insert(.ingress) }
        if try switches["egress"].bool() ?? !egress.isEmpty { isolates.insert(.egress) }
        return PolicySection(
            subject: EndpointSelector(requirements), isolates: isolates, ingress: ingress,
            egress: egress)
    }

    private func ciliumRules(
        _ direction: String, _ side: String, _ namespace: String
    ) throws(ManifestFault) -> [PolicyRule] {
        var rules: [PolicyRule] = []
        for (key, action) in [(direction, PolicyAction.accept), ("\(direction)Deny", .deny)] {
            for rule in try self[key].elements(max: PolicyBound.rules) {
                try rule.allow(
                    only: Set(ciliumPeerFields(side)).union(["toPorts", "icmps"]),
                    unsupported: ciliumUnsupported)
                let ports = try rule.ciliumPorts()
                var peers = try rule.ciliumPeers(side, namespace)
                // Cilium's empty rule means nobody, and only isolates; ports alone mean everyone.
                if peers == nil, ports == nil { peers = [] }
                rules.append(
                    PolicyRule(path: rule.path, action: action, peers: peers, ports: ports))
            }
        }
        return rules
    }

    private func ciliumPeers(
        _ side: String, _ namespace: String
    ) throws(ManifestFault) -> [PeerMatcher]? {
        var present: [String] = []
        for key in ciliumPeerFields(side) {
            if try !self[key].isNull { present.append(key) }
        }
        guard let key = present.first else { return nil }
        guard present.count == 1 else {
            throw try self[present[1]].fault("can't stand beside \(key); make it a rule of its own")
        }
        var peers: [PeerMatcher] = []
        for peer in try self[key].elements(max: PolicyBound.peers) {
            switch key.dropFirst(side.count) {
            case "Endpoints": peers.append(try peer.ciliumEndpoints(namespace))
            case "Entities":
                peers.append(.entity(try peer.choice(PolicyEntity.allCases)))
            case "CIDR": peers.append(try peer.ciliumAddress())
            default: peers.append(try peer.ciliumBlock())
            }
        }
        return peers
    }

    private func ciliumEndpoints(_ namespace: String) throws(ManifestFault) -> PeerMatcher {
        if let entity = try ciliumReserved() { return .entity(entity) }
        var requirements = try selector(.cilium)
        let namesNamespaces = requirements.contains {
            switch $0.field {
            case .namespace, .namespaceLabel: true
            case .cluster, .label: false
            }
        }
        if !namespace.isEmpty, !namesNamespaces {
            requirements.append(SelectorRequirement(.namespace, .isIn([namespace])))
        }
        return .endpoints(EndpointSelector(requirements))
    }

    /// `matchLabels: {"reserved:host": ""}` and its like.
    private func ciliumReserved() throws(ManifestFault) -> PolicyEntity? {
        let labels = try self["matchLabels"]
        let keys = try labels.keys()
        guard let key = keys.first(where: { $0.hasPrefix("reserved:") }) else { return nil }
        try allow(only: ["matchLabels"])
        let reserved: [PolicyEntity] = [.host, .world, .remoteNode, .health, .initializing]
        guard keys.count == 1,
            let entity = reserved.first(where: { "reserved:\($0.rawValue)" == key })
        else {
            throw try labels[key].fault(
                "must stand alone and be one of "
                    + reserved.map { "reserved:\($0.rawValue)" }.joined(separator: ", "))
        }
        return entity
    }

    /// Addresses of the world only: Cilium's blocks mean no endpoints and no nodes.
    private func ciliumAddress() throws(ManifestFault) -> PeerMatcher {
        let text = try requiredString()
        guard let prefix = Prefix(text) else {
            throw fault("is \"\(text)\", which is no address and no address block")
        }
        return .network(PolicyNetwork(prefix: prefix, worldOnly: true))
    }

    private func ciliumBlock() throws(ManifestFault) -> PeerMatcher {
        let reason = "write the blocks out as cidr"
        try allow(
            only: ["cidr", "except"],
            unsupported: ["cidrGroupRef": reason, "cidrGroupSelector": reason])
        let prefix = try self["cidr"].prefix()
        return .network(
            PolicyNetwork(
                prefix: prefix, except: try self["except"].exceptions(from: prefix),
                worldOnly: true))
    }

    /// What a key asks for, without the source that Cilium puts before it.
    func ciliumSelectorField(_ text: String) throws(ManifestFault) -> SelectorField {
        var key = text[...]
        if let colon = text.firstIndex(of: ":") {
            guard ["k8s", "any"].contains(text[..<colon]) else {
                throw fault("asks for labels of \(text[..<colon]); only k8s and any are supported")
            }
            key = text[text.index(after: colon)...]
        }
        try checkLabelKey(String(key))
        let namespaceLabels = "io.cilium.k8s.namespace.labels."
        if key.hasPrefix(namespaceLabels) {
            let label = String(key.dropFirst(namespaceLabels.count))
            return label == "kubernetes.io/metadata.name" ? .namespace : .namespaceLabel(label)
        }
        if key == "io.kubernetes.pod.namespace" { return .namespace }
        if ClusterLabel.all.contains(String(key)) { return .cluster }
        guard !key.hasPrefix("io.cilium.k8s.") else {
            throw fault("asks for \(key), which identities don't carry")
        }
        return .label(String(key))
    }
}

private func ciliumPeerFields(_ side: String) -> [String] {
    ["\(side)Endpoints", "\(side)Entities", "\(side)CIDR", "\(side)CIDRSet"]
}

private let ciliumUnsupported = [
    "fromRequires": "select what is required in fromEndpoints",
    "toRequires": "select what is required in toEndpoints",
    "fromGroups": "groups of cloud providers aren't looked up",
    "toGroups": "groups of cloud providers aren't looked up",
    "fromNodes": "use fromEntities or fromCIDR",
    "toNodes": "use toEntities or toCIDR",
    "toServices": "select the service's endpoints in toEndpoints",
    "toFQDNs": "names are not resolved; use toCIDR",
    "authentication": "identities on the overlay are checked by the node that receives them",
]
