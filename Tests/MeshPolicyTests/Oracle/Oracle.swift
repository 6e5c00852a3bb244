// SPDX-License-Identifier: Apache-2.0

/// Decides by reading the specifications aloud: every policy, every rule and every peer, one after
/// the other, each time.
struct Oracle {
    enum Tier: String {
        case admin, standard, baseline, none
    }

    struct Verdict {
        let allows: Bool
        /// Which tier decided.
        let tier: Tier
    }

    let cluster: String
    /// Whether peer selectors that don't say mean all clusters.
    let allClusters: Bool
    let policies: [OraclePolicy]
    /// By cluster and name.
    let namespaces: [String: [String: [String: String]]]

    func decide(
        isIngress: Bool, pod: OraclePod, peer: OracleEnd, traffic: OracleTraffic
    ) -> Verdict {
        guard pod.cluster == cluster else { return Verdict(allows: true, tier: .none) }
        if isIngress, case .host = peer { return Verdict(allows: true, tier: .none) }
        let destination: OraclePod? = if isIngress { pod } else { peer.pod }
        func matches(_ rule: OracleRule, of policy: OraclePolicy) -> Bool {
            matchesPorts(rule, of: policy, traffic, destination)
                && matchesPeers(rule, of: policy, peer)
        }
        let selecting = policies.filter { selects($0, pod) }

        // Admin: in order of priority, the first rule that matches; Pass leaves the tier.
        if let allows = firstMatch(
            selecting.filter { $0.tier == .admin }, isIngress: isIngress, matches)
        {
            return Verdict(allows: allows, tier: .admin)
        }

        // NetworkPolicy: denied if denied; else allowed if allowed; else denied if isolated.
        var isIsolated = false
        var isAllowed = false
        var isDenied = false
        for policy in selecting where policy.tier == .standard {
            if policy.isolates(ingress: isIngress) { isIsolated = true }
            guard policy.counts(ingress: isIngress) else { continue }
            for rule in policy.rules(ingress: isIngress) where matches(rule, of: policy) {
                if rule.action == "Deny" { isDenied = true } else { isAllowed = true }
            }
        }
        if isDenied { return Verdict(allows: false, tier: .standard) }
        if isAllowed { return Verdict(allows: true, tier: .standard) }
        if isIsolated { return Verdict(allows: false, tier: .standard) }

        if let allows = firstMatch(
            selecting.filter { $0.tier == .baseline }, isIngress: isIngress, matches)
        {
            return Verdict(allows: allows, tier: .baseline)
        }
        return Verdict(allows: true, tier: .none)
    }

    private func firstMatch(
        _ policies: [OraclePolicy], isIngress: Bool,
        _ matches: (OracleRule, OraclePolicy) -> Bool
    ) -> Bool? {
        for policy in policies.sorted(by: { $0.priority < $1.priority }) {
            for rule in policy.rules(ingress: isIngress) where matches(rule, policy) {
                switch rule.action {
                case "Accept": return true
                case "Deny": return false
                default: return nil
                }
            }
        }
        return nil
    }

    // MARK: Selecting

    private func selects(_ policy: OraclePolicy, _ pod: OraclePod) -> Bool {
        if !policy.namespace.isEmpty, policy.namespace != pod.namespace { return false }
        switch policy.kind {
        case .cilium, .ciliumClusterwide:
            return matches(policy.subjectPods, ciliumLabels(of: pod))
        case .network, .cluster, .admin, .baselineAdmin:
            if let namespaces = policy.subjectNamespaces,
                !matches(namespaces, namespaceLabels(of: pod))
            {
                return false
            }
            return matches(policy.subjectPods, podLabels(of: pod))
        }
    }

    private func matches(_ selector: OracleSelector, _ labels: [String: String]) -> Bool {
        for (key, value) in selector.labels where labels[key] != value { return false }
        for expression in selector.expressions {
            let value = labels[expression.key]
            switch expression.operation {
            case "In":
                if value == nil || !expression.values.contains(value!) { return false }
            case "NotIn":
                if value != nil && expression.values.contains(value!) { return false }
            case "Exists":
                if value == nil { return false }
            default:
                if value != nil { return false }
            }
        }
        return true
    }

    private func podLabels(of pod: OraclePod) -> [String: String] {
        var labels = pod.labels
        labels["io.weft.cluster"] = pod.cluster
        labels["io.cilium.k8s.policy.cluster"] = pod.cluster
        return labels
    }

    private func namespaceLabels(of pod: OraclePod) -> [String: String] {
        var labels = namespaces[pod.cluster]?[pod.namespace] ?? [:]
        labels["kubernetes.io/metadata.name"] = pod.namespace
        labels["io.weft.cluster"] = pod.cluster
        labels["io.cilium.k8s.policy.cluster"] = pod.cluster
        return labels
    }

    private func ciliumLabels(of pod: OraclePod) -> [String: String] {
        var labels: [String: String] = [:]
        for (key, value) in podLabels(of: pod) {
            labels[key] = value
            labels["k8s:\(key)"] = value
        }
        labels["k8s:io.kubernetes.pod.namespace"] = pod.namespace
        for (key, value) in namespaces[pod.cluster]?[pod.namespace] ?? [:] {
            labels["k8s:io.cilium.k8s.namespace.labels.\(key)"] = value
        }
        return labels
    }

    private func reaches(_ selectors: [OracleSelector?], _ pod: OraclePod) -> Bool {
        if allClusters || pod.cluster == cluster { return true }
        let keys = selectors.compactMap { $0 }.flatMap { selector in
            selector.labels.map(\.key) + selector.expressions.map(\.key)
        }
        return keys.contains {
            $0.hasSuffix("io.weft.cluster") || $0.hasSuffix("io.cilium.k8s.policy.cluster")
        }
    }

    // MARK: Peers

    private func matchesPeers(
        _ rule: OracleRule, of policy: OraclePolicy, _ end: OracleEnd
    ) -> Bool {
        switch policy.kind {
        case .network:
            guard let peers = rule.peers, !peers.isEmpty else { return true }
            return peers.contains { matches($0, of: policy, end) }
        case .cluster, .admin, .baselineAdmin:
            return (rule.peers ?? []).contains { matches($0, of: policy, end) }
        case .cilium, .ciliumClusterwide:
            // An empty rule matches nothing, ports alone match everyone.
            guard let peers = rule.peers else { return rule.ports != nil }
            return peers.contains { matches($0, of: policy, end) }
        }
    }

    private func matches(_ peer: OraclePeer, of policy: OraclePolicy, _ end: OracleEnd) -> Bool {
        switch peer {
        case .pods(let pods, let namespaces):
            guard let pod = end.pod, reaches([pods, namespaces], pod) else { return false }
            if let namespaces {
                if !matches(namespaces, namespaceLabels(of: pod)) { return false }
            } else if pod.namespace != policy.namespace {
                return false
            }
            return pods.map { matches($0, podLabels(of: pod)) } ?? true
        case .block(let block, let except):
            return block.contains(end.address) && !except.contains { $0.contains(end.address) }
        case .networks(let blocks):
            return blocks.contains { $0.contains(end.address) }
        case .cilium(let selector, let namespace):
            guard let pod = end.pod, reaches([selector], pod) else { return false }
            if let namespace, pod.namespace != namespace { return false }
            return matches(selector, ciliumLabels(of: pod))
        case .ciliumBlock(let block, let except):
            guard case .world(let address) = end else { return false }
            return block.contains(address) && !except.contains { $0.contains(address) }
        case .entity(let entity):
            return matches(entity, end)
        }
    }

    private func matches(_ entity: String, _ end: OracleEnd) -> Bool {
        switch (entity, end) {
        case ("all", _), ("world", .world), ("host", .host), ("remote-node", .remoteNode),
            ("health", .health), ("cluster", .host), ("cluster", .remoteNode),
            ("cluster", .health):
            true
        case ("world-ipv4", .world(let address)): !address.isIPv6
        case ("world-ipv6", .world(let address)): address.isIPv6
        case ("cluster", .pod(let pod)): pod.cluster == cluster
        default: false
        }
    }

    // MARK: Ports

    private func matchesPorts(
        _ rule: OracleRule, of policy: OraclePolicy, _ traffic: OracleTraffic,
        _ destination: OraclePod?
    ) -> Bool {
        guard let ports = rule.ports, !ports.isEmpty else { return true }
        for port in ports {
            switch port {
            case .numbers(let name, let first, let last):
                let isProtocol =
                    name == "ANY"
                    ? ["TCP", "UDP", "SCTP"].contains(traffic.protocol) : name == traffic.protocol
                guard isProtocol else { continue }
                guard let first else { return true }
                if traffic.port >= first, traffic.port <= last ?? first { return true }
            case .named(let name, let transport):
                for port in destination?.ports ?? []
                where port.name == name && port.protocol == traffic.protocol
                    && port.number == traffic.port && transport ?? port.protocol == port.protocol
                {
                    return true
                }
            case .icmp(let isIPv6, let type):
                if traffic.protocol == (isIPv6 ? "ICMPv6" : "ICMP"), traffic.port == type {
                    return true
                }
            }
        }
        return false
    }
}

extension OracleEnd {
    var pod: OraclePod? { if case .pod(let pod) = self { pod } else { nil } }
}

extension OraclePolicy {
    var tier: Oracle.Tier {
        switch kind {
        case .network, .cilium, .ciliumClusterwide: .standard
        case .admin: .admin
        case .baselineAdmin: .baseline
        case .cluster: isBaseline ? .baseline : .admin
        }
    }

    func rules(ingress: Bool) -> [OracleRule] { (ingress ? self.ingress : egress) ?? [] }

    /// Whether the rules of a direction count.
    func counts(ingress: Bool) -> Bool {
        kind != .network || isolates(ingress: ingress)
    }

    func isolates(ingress: Bool) -> Bool {
        switch kind {
        case .network:
            // Ingress always, egress if there are egress rules, unless it is said.
            if let types, !types.isEmpty { return types.contains(ingress ? "Ingress" : "Egress") }
            return ingress || !(egress ?? []).isEmpty
        case .cilium, .ciliumClusterwide:
            let said = ingress ? defaultDeny.ingress : defaultDeny.egress
            return said ?? !rules(ingress: ingress).isEmpty
        case .cluster, .admin, .baselineAdmin:
            return false
        }
    }
}
