// SPDX-License-Identifier: Apache-2.0

extension RandomWorld {
    mutating func policy(_ number: Int) -> OraclePolicy {
        let kind = pick([
            OraclePolicy.Kind.network, .network, .network, .cluster, .cluster, .admin, .cilium,
            .ciliumClusterwide,
        ])
        // Priorities differ: of equal ones upstream says nothing.
        var policy = OraclePolicy(kind: kind, name: "p\(number)", priority: number * 10)
        switch kind {
        case .network:
            policy.namespace = pick(Vocabulary.namespaces)
            policy.subjectPods = selector(.pods, isSubject: true)
            policy.types = pick([nil, nil, [], ["Ingress"], ["Egress"], ["Ingress", "Egress"]])
        case .cluster, .admin, .baselineAdmin:
            policy.isBaseline = kind == .cluster && chance(2)
            policy.subjectNamespaces = selector(.namespaces, isSubject: true)
            policy.subjectPods = chance(2) ? OracleSelector() : selector(.pods, isSubject: true)
        case .cilium, .ciliumClusterwide:
            if kind == .cilium { policy.namespace = pick(Vocabulary.namespaces) }
            policy.subjectPods = selector(
                kind == .cilium ? .pods : .cilium, isSubject: true)
            policy.defaultDeny = (
                pick([nil, nil, nil, true, false]), pick([nil, nil, true, false])
            )
        }
        if !chance(4) { policy.ingress = rules(of: policy, isIngress: true) }
        if chance(2) { policy.egress = rules(of: policy, isIngress: false) }
        return policy
    }

    mutating func baselineAdmin() -> OraclePolicy {
        var policy = OraclePolicy(kind: .baselineAdmin, name: "default", priority: 1001)
        policy.subjectNamespaces = selector(.namespaces, isSubject: true)
        policy.ingress = rules(of: policy, isIngress: true)
        policy.egress = rules(of: policy, isIngress: false)
        return policy
    }

    private mutating func rules(of policy: OraclePolicy, isIngress: Bool) -> [OracleRule] {
        (0..<Int.random(in: 0...3, using: &random)).map { _ in
            switch policy.kind {
            case .network: networkRule()
            case .cluster, .admin, .baselineAdmin: clusterRule(policy.kind, isIngress: isIngress)
            case .cilium, .ciliumClusterwide: ciliumRule(policy)
            }
        }
    }

    private mutating func networkRule() -> OracleRule {
        var rule = OracleRule()
        switch Int.random(in: 0..<8, using: &random) {
        case 0: break
        case 1: rule.peers = []
        default:
            rule.peers = (0..<pick([1, 1, 2, 3])).map { _ in
                switch Int.random(in: 0..<5, using: &random) {
                case 0: .pods(pods: selector(.pods), namespaces: nil)
                case 1: .pods(pods: nil, namespaces: selector(.namespaces))
                case 2: .pods(pods: selector(.pods), namespaces: selector(.namespaces))
                default: block().map { .block($0, except: $1) }
                }
            }
        }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: break
        case 1: rule.ports = []
        default:
            rule.ports = (0..<pick([1, 2])).map { _ in
                let transport = pick(["TCP", "TCP", "UDP", "SCTP"])
                switch Int.random(in: 0..<5, using: &random) {
                case 0: return .numbers(protocol: transport, first: nil, last: nil)
                case 1: return .named(pick(Vocabulary.portNames), protocol: pick(["TCP", "UDP"]))
                case 2: return range(transport, minimum: 0)
                default:
                    return .numbers(protocol: transport, first: pick(Vocabulary.ports), last: nil)
                }
            }
        }
        return rule
    }

    private mutating func clusterRule(
        _ kind: OraclePolicy.Kind, isIngress: Bool
    ) -> OracleRule {
        let actions = kind == .baselineAdmin ? ["Accept", "Deny"] : ["Accept", "Deny", "Pass"]
        var rule = OracleRule(action: pick(actions))
        let hasNetworks = !isIngress && chance(3)
        rule.peers = (0..<pick([1, 1, 2])).map { _ in
            if hasNetworks, chance(2) {
                return .networks(some(Vocabulary.blocks, max: 3).map(Vocabulary.block))
            }
            return .pods(
                pods: chance(2) ? nil : selector(.pods), namespaces: selector(.namespaces))
        }
        guard chance(2) else { return rule }
        rule.ports = (0..<pick([1, 2])).map { _ in
            let transport = pick(["TCP", "TCP", "UDP", "SCTP"])
            switch Int.random(in: 0..<4, using: &random) {
            case 0 where !hasNetworks: return .named(pick(Vocabulary.portNames), protocol: nil)
            case 1: return range(transport, minimum: 1)
            default:
                return .numbers(protocol: transport, first: pick(Vocabulary.ports), last: nil)
            }
        }
        return rule
    }

    private mutating func ciliumRule(_ policy: OraclePolicy) -> OracleRule {
        var rule = OracleRule(action: pick(["Accept", "Accept", "Deny"]))
        let count = pick([0, 1, 1, 2])
        switch Int.random(in: 0..<5, using: &random) {
        case 0: break
        case 1:
            rule.peers = (0..<count).map { _ in
                .entity(
                    pick([
                        "all", "world", "world-ipv4", "world-ipv6", "cluster", "host",
                        "remote-node", "health", "none",
                    ]))
            }
        case 2: rule.peers = (0..<count).map { _ in block().map { .ciliumBlock($0, except: $1) } }
        default:
            rule.peers = (0..<count).map { _ in
                let selector = selector(.cilium)
                let keys = selector.labels.map(\.key) + selector.expressions.map(\.key)
                let namesNamespaces = keys.contains {
                    $0.contains("io.kubernetes.pod.namespace") || $0.contains("namespace.labels")
                }
                return .cilium(
                    selector,
                    namespaced: policy.namespace.isEmpty || namesNamespaces
                        ? nil : policy.namespace)
            }
        }
        switch Int.random(in: 0..<4, using: &random) {
        case 0, 1: break
        case 2:
            let isIPv6 = chance(2)
            rule.ports = some(isIPv6 ? [1, 128, 129] : [0, 3, 8], max: 2).map {
                .icmp(isIPv6: isIPv6, type: $0)
            }
        default:
            rule.ports = (0..<pick([1, 2])).map { _ in
                switch Int.random(in: 0..<5, using: &random) {
                case 0:
                    return .numbers(protocol: pick(["TCP", "UDP", "SCTP"]), first: nil, last: nil)
                case 1:
                    return .named(
                        pick(Vocabulary.portNames), protocol: pick([nil, "TCP", "UDP"]))
                case 2: return range(pick(["TCP", "UDP", "ANY"]), minimum: 0)
                default:
                    return .numbers(
                        protocol: pick(["TCP", "UDP", "ANY"]), first: pick(Vocabulary.ports),
                        last: nil)
                }
            }
        }
        return rule
    }

    private mutating func range(_ transport: String, minimum: Int) -> OraclePort {
        let first = pick(Vocabulary.ports)
        return .numbers(
            protocol: transport, first: first, last: first + pick([0, 5, 900]) + minimum)
    }

    private mutating func block() -> Blocks {
        let block = Vocabulary.block(pick(Vocabulary.blocks))
        let inside = Vocabulary.blocks.map(Vocabulary.block).filter {
            block.contains($0.address) && $0.length > block.length
        }
        return Blocks(block: block, except: inside.isEmpty || chance(2) ? [] : some(inside, max: 2))
    }

    private struct Blocks {
        let block: OracleBlock
        let except: [OracleBlock]

        func map<Value>(_ transform: (OracleBlock, [OracleBlock]) -> Value) -> Value {
            transform(block, except)
        }
    }

    // MARK: Selectors

    private enum Language {
        case pods, namespaces, cilium
    }

    /// At most one requirement a key, so that none contradicts another.
    private mutating func selector(
        _ language: Language, isSubject: Bool = false
    ) -> OracleSelector {
        var fields: [(key: String, values: [String], isAlwaysSet: Bool)] = []
        let cluster = isSubject ? [Self.own, "west"] : clusters
        switch language {
        case .pods:
            fields = Vocabulary.podLabels.map { ($0.0, $0.1, false) }
            fields.append(
                (pick(["io.weft.cluster", "io.cilium.k8s.policy.cluster"]), cluster, true))
        case .namespaces:
            fields = Vocabulary.namespaceLabels.map { ($0.0, $0.1, false) }
            fields.append(("kubernetes.io/metadata.name", Vocabulary.namespaces, true))
            fields.append(("io.weft.cluster", cluster, true))
        case .cilium:
            fields = Vocabulary.podLabels.map { (pick(["", "k8s:"]) + $0.0, $0.1, false) }
            fields += Vocabulary.namespaceLabels.map {
                ("k8s:io.cilium.k8s.namespace.labels.\($0.0)", $0.1, false)
            }
            fields.append(("k8s:io.kubernetes.pod.namespace", Vocabulary.namespaces, true))
            fields.append(("k8s:io.cilium.k8s.policy.cluster", cluster, true))
        }
        var selector = OracleSelector()
        guard !chance(5) else { return selector }
        for field in some(fields, max: 2) {
            // Most are about labels, or little would ever match.
            if field.isAlwaysSet, chance(2) { continue }
            switch Int.random(in: 0..<7, using: &random) {
            case 0:
                selector.expressions.append(
                    .init(
                        key: field.key, operation: "NotIn", values: some(field.values, max: 1)))
            case 1, 2:
                selector.expressions.append(
                    .init(key: field.key, operation: "In", values: some(field.values, max: 2)))
            case 3:
                selector.expressions.append(
                    .init(key: field.key, operation: "Exists", values: []))
            case 4 where !field.isAlwaysSet:
                selector.expressions.append(
                    .init(key: field.key, operation: "DoesNotExist", values: []))
            default: selector.labels.append((field.key, pick(field.values)))
            }
        }
        return selector
    }
}
