// SPDX-License-Identifier: Apache-2.0

/// JSON, which is YAML.
indirect enum JSON {
    case text(String)
    case number(Int)
    case truth(Bool)
    case list([JSON])
    case map([(String, JSON?)])

    var string: String {
        switch self {
        case .text(let text): "\"\(text)\""
        case .number(let number): "\(number)"
        case .truth(let value): "\(value)"
        case .list(let items): "[\(items.map(\.string).joined(separator: ", "))]"
        case .map(let fields):
            "{"
                + fields.compactMap { field in field.1.map { "\"\(field.0)\": \($0.string)" } }
                .joined(separator: ", ") + "}"
        }
    }
}

extension OraclePolicy {
    var json: JSON {
        let (kindName, version) =
            switch kind {
            case .network: ("NetworkPolicy", "networking.k8s.io/v1")
            case .cluster: ("ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2")
            case .admin: ("AdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1")
            case .baselineAdmin:
                ("BaselineAdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1")
            case .cilium: ("CiliumNetworkPolicy", "cilium.io/v2")
            case .ciliumClusterwide: ("CiliumClusterwideNetworkPolicy", "cilium.io/v2")
            }
        return .map([
            ("apiVersion", .text(version)), ("kind", .text(kindName)),
            (
                "metadata",
                .map([
                    ("namespace", namespace.isEmpty ? nil : .text(namespace)),
                    ("name", .text(name)),
                ])
            ),
            ("spec", spec),
        ])
    }

    private var spec: JSON {
        switch kind {
        case .network:
            .map([
                ("podSelector", subjectPods.json),
                ("policyTypes", types.map { .list($0.map { .text($0) }) }),
                ("ingress", ingress.map { .list($0.map { networkRule($0, "from") }) }),
                ("egress", egress.map { .list($0.map { networkRule($0, "to") }) }),
            ])
        case .cluster, .admin, .baselineAdmin:
            .map([
                ("tier", kind == .cluster ? .text(isBaseline ? "Baseline" : "Admin") : nil),
                ("priority", kind == .baselineAdmin ? nil : .number(priority)),
                ("subject", podsOrNamespaces(subjectPods, subjectNamespaces ?? OracleSelector())),
                ("ingress", ingress.map { .list($0.map { clusterRule($0, "from") }) }),
                ("egress", egress.map { .list($0.map { clusterRule($0, "to") }) }),
            ])
        case .cilium, .ciliumClusterwide:
            .map([
                ("endpointSelector", subjectPods.json),
                ("ingress", ciliumRules(ingress, "from", denying: false)),
                ("ingressDeny", ciliumRules(ingress, "from", denying: true)),
                ("egress", ciliumRules(egress, "to", denying: false)),
                ("egressDeny", ciliumRules(egress, "to", denying: true)),
                (
                    "enableDefaultDeny",
                    .map([
                        ("ingress", defaultDeny.ingress.map { .truth($0) }),
                        ("egress", defaultDeny.egress.map { .truth($0) }),
                    ])
                ),
            ])
        }
    }

    private func networkRule(_ rule: OracleRule, _ side: String) -> JSON {
        .map([
            (side, rule.peers.map { .list($0.map(networkPeer)) }),
            ("ports", rule.ports.map { .list($0.map(networkPort)) }),
        ])
    }

    private func networkPeer(_ peer: OraclePeer) -> JSON {
        switch peer {
        case .pods(let pods, let namespaces):
            .map([("podSelector", pods?.json), ("namespaceSelector", namespaces?.json)])
        case .block(let block, let except):
            .map([("ipBlock", blockJSON(block, except))])
        case .networks, .cilium, .ciliumBlock, .entity: preconditionFailure("no NetworkPolicy")
        }
    }

    private func networkPort(_ port: OraclePort) -> JSON {
        switch port {
        case .numbers(let name, let first, let last):
            .map([
                ("protocol", .text(name)), ("port", first.map { .number($0) }),
                ("endPort", last.map { .number($0) }),
            ])
        case .named(let name, let transport):
            .map([("protocol", transport.map { .text($0) }), ("port", .text(name))])
        case .icmp: preconditionFailure("no NetworkPolicy")
        }
    }

    private func clusterRule(_ rule: OracleRule, _ side: String) -> JSON {
        let accept = kind == .cluster ? "Accept" : "Allow"
        let peers: [JSON] = (rule.peers ?? []).map { peer in
            switch peer {
            case .pods(let pods, let namespaces):
                return podsOrNamespaces(pods, namespaces ?? OracleSelector())
            case .networks(let blocks):
                return .map([("networks", .list(blocks.map { .text($0.text) }))])
            case .block, .cilium, .ciliumBlock, .entity: preconditionFailure("not cluster-wide")
            }
        }
        return .map([
            ("name", .text("rule")),
            ("action", .text(rule.action == "Accept" ? accept : rule.action)),
            (side, .list(peers)),
            (
                kind == .cluster ? "protocols" : "ports",
                rule.ports.map { .list($0.map(clusterPort)) }
            ),
        ])
    }

    private func clusterPort(_ port: OraclePort) -> JSON {
        switch port {
        case .numbers(let name, let first?, let last) where kind == .cluster:
            let range = last.map { last in
                JSON.map([("start", .number(first)), ("end", .number(last))])
            }
            return .map([
                (
                    name.lowercased(),
                    .map([
                        (
                            "destinationPort",
                            .map([
                                ("number", range == nil ? .number(first) : nil), ("range", range),
                            ])
                        )
                    ])
                )
            ])
        case .numbers(let name, let first?, let last?):
            return .map([
                (
                    "portRange",
                    .map([
                        ("protocol", .text(name)), ("start", .number(first)),
                        ("end", .number(last)),
                    ])
                )
            ])
        case .numbers(let name, let first?, nil):
            return .map([
                ("portNumber", .map([("protocol", .text(name)), ("port", .number(first))]))
            ])
        case .named(let name, _):
            return .map([(kind == .cluster ? "destinationNamedPort" : "namedPort", .text(name))])
        case .numbers, .icmp: preconditionFailure("not cluster-wide")
        }
    }

    private func ciliumRules(_ rules: [OracleRule]?, _ side: String, denying: Bool) -> JSON? {
        rules.map { rules in
            .list(
                rules.filter { ($0.action == "Deny") == denying }.map { rule in
                    .map([
                        (ciliumField(rule, side), rule.peers.map { .list($0.map(ciliumPeer)) }),
                        ciliumPorts(rule),
                    ])
                })
        }
    }

    private func ciliumField(_ rule: OracleRule, _ side: String) -> String {
        switch rule.peers?.first {
        case .ciliumBlock: "\(side)CIDRSet"
        case .entity: "\(side)Entities"
        default: "\(side)Endpoints"
        }
    }

    private func ciliumPeer(_ peer: OraclePeer) -> JSON {
        switch peer {
        case .cilium(let selector, _): selector.json
        case .ciliumBlock(let block, let except): blockJSON(block, except)
        case .entity(let name): .text(name)
        case .pods, .block, .networks: preconditionFailure("not Cilium's")
        }
    }

    private func ciliumPorts(_ rule: OracleRule) -> (String, JSON?) {
        guard let ports = rule.ports else { return ("toPorts", nil) }
        if case .icmp = ports[0] {
            let fields: [JSON] = ports.map { port in
                guard case .icmp(let isIPv6, let type) = port else {
                    preconditionFailure("ports beside ICMP")
                }
                return .map([
                    ("family", .text(isIPv6 ? "IPv6" : "IPv4")), ("type", .number(type)),
                ])
            }
            return ("icmps", .list([.map([("fields", .list(fields))])]))
        }
        let items: [JSON] = ports.map { port in
            switch port {
            case .numbers(let name, let first, let last):
                return .map([
                    ("port", .text("\(first ?? 0)")), ("protocol", .text(name)),
                    ("endPort", last.map { .number($0) }),
                ])
            case .named(let name, let transport):
                return .map([("port", .text(name)), ("protocol", .text(transport ?? "ANY"))])
            case .icmp: preconditionFailure("ICMP beside ports")
            }
        }
        return ("toPorts", .list([.map([("ports", .list(items))])]))
    }

    private func podsOrNamespaces(_ pods: OracleSelector?, _ namespaces: OracleSelector) -> JSON {
        guard let pods else { return .map([("namespaces", namespaces.json)]) }
        return .map([
            (
                "pods",
                .map([("namespaceSelector", namespaces.json), ("podSelector", pods.json)])
            )
        ])
    }

    private func blockJSON(_ block: OracleBlock, _ except: [OracleBlock]) -> JSON {
        .map([
            ("cidr", .text(block.text)),
            ("except", except.isEmpty ? nil : .list(except.map { .text($0.text) })),
        ])
    }
}

extension OracleSelector {
    var json: JSON {
        .map([
            (
                "matchLabels",
                labels.isEmpty ? nil : .map(labels.map { ($0.key, .text($0.value)) })
            ),
            (
                "matchExpressions",
                expressions.isEmpty
                    ? nil
                    : .list(
                        expressions.map {
                            .map([
                                ("key", .text($0.key)), ("operator", .text($0.operation)),
                                (
                                    "values",
                                    $0.values.isEmpty ? nil : .list($0.values.map { .text($0) })
                                ),
                            ])
                        })
            ),
        ])
    }
}
