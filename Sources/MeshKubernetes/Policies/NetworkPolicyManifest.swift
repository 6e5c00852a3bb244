// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

extension Policy {
    /// `networking.k8s.io/v1` NetworkPolicy, all of it.
    init(networkPolicy root: ManifestField) throws(ManifestFault) {
        let object = try ObjectName(manifest: root)
        let spec = try root["spec"]
        try spec.allow(only: ["podSelector", "policyTypes", "ingress", "egress"])
        let podSelector = try spec["podSelector"]
        let namespace = SelectorRequirement(.namespace, .isIn([object.namespace]))
        // A missing one is an empty one, as the API server has it.
        let pods = podSelector.isNull ? [] : try podSelector.selector(.pod)
        let ingress = try spec["ingress"].networkPolicyRules("from", in: namespace)
        let egress = try spec["egress"].networkPolicyRules("to", in: namespace)
        var types: Set<PolicyDirection> = []
        for field in try spec["policyTypes"].elements(max: 2) {
            switch try field.requiredString() {
            case "Ingress": types.insert(.ingress)
            case "Egress": types.insert(.egress)
            case let text: throw field.fault("is \"\(text)\"; must be Ingress or Egress")
            }
        }
        if types.isEmpty { types = egress.isEmpty ? [.ingress] : [.ingress, .egress] }
        self.init(
            name: PolicyName(
                kind: .networkPolicy, namespace: object.namespace, name: object.name),
            tier: .standard,
            sections: [
                PolicySection(
                    subject: EndpointSelector(pods + [namespace]), isolates: types,
                    ingress: ingress, egress: egress,
                    unused: Set(PolicyDirection.allCases).subtracting(types))
            ])
    }
}

extension ManifestField {
    fileprivate func networkPolicyRules(
        _ side: String, in namespace: SelectorRequirement
    ) throws(ManifestFault) -> [PolicyRule] {
        var rules: [PolicyRule] = []
        for rule in try elements(max: PolicyBound.rules) {
            try rule.allow(only: [side, "ports"])
            var peers: [PeerMatcher] = []
            for peer in try rule[side].elements(max: PolicyBound.peers) {
                peers.append(try peer.networkPolicyPeer(in: namespace))
            }
            var ports: [PortMatcher] = []
            for port in try rule["ports"].elements(max: PolicyBound.ports) {
                ports.append(try port.networkPolicyPort())
            }
            rules.append(
                PolicyRule(
                    path: rule.path, action: .accept, peers: peers.isEmpty ? nil : peers,
                    ports: ports.isEmpty ? nil : ports))
        }
        return rules
    }

    private func networkPolicyPeer(
        in namespace: SelectorRequirement
    ) throws(ManifestFault) -> PeerMatcher {
        try allow(only: ["podSelector", "namespaceSelector", "ipBlock"])
        let pods = try self["podSelector"]
        let namespaces = try self["namespaceSelector"]
        let block = try self["ipBlock"]
        guard block.isNull else {
            guard pods.isNull, namespaces.isNull else {
                throw block.fault("can't stand beside a selector; make it an element of its own")
            }
            try block.allow(only: ["cidr", "except"])
            let prefix = try block["cidr"].prefix()
            return .network(
                PolicyNetwork(prefix: prefix, except: try block["except"].exceptions(from: prefix)))
        }
        guard !pods.isNull || !namespaces.isNull else {
            throw fault("is empty; it needs podSelector, namespaceSelector or ipBlock")
        }
        return .endpoints(
            EndpointSelector(
                (pods.isNull ? [] : try pods.selector(.pod))
                    + (namespaces.isNull ? [namespace] : try namespaces.selector(.namespace))))
    }

    private func networkPolicyPort() throws(ManifestFault) -> PortMatcher {
        try allow(only: ["protocol", "port", "endPort"])
        let transport = try self["protocol"].transport() ?? .tcp
        let port = try self["port"]
        let endPort = try self["endPort"]
        guard !port.isNull else {
            guard endPort.isNull else { throw endPort.fault("needs port beside it") }
            return .all(transport)
        }
        guard port.isNumber else {
            guard endPort.isNull else { throw endPort.fault("needs a port with a number") }
            return .named(try port.portName(), transport)
        }
        let first = try port.requiredPort()
        let last = endPort.isNull ? first : try endPort.requiredPort()
        guard first <= last else { throw endPort.fault("is \(last), less than port, \(first)") }
        return .range(protocolNumber: transport.rawValue, first...last)
    }

    /// Blocks within `prefix`, each smaller than it.
    func exceptions(from prefix: Prefix) throws(ManifestFault) -> [Prefix] {
        var exceptions: [Prefix] = []
        for field in try elements(max: PolicyBound.exceptions) {
            let exception = try field.prefix()
            guard exception.isIPv4 == prefix.isIPv4, exception.length > prefix.length,
                prefix.contains(exception.address)
            else { throw field.fault("is \(exception), which is no part of \(prefix)") }
            exceptions.append(exception)
        }
        return exceptions
    }
}
