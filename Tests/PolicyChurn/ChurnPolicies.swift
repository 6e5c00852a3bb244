// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshLab
import MeshModel
import MeshPolicy

/// Draws policies of three kinds that speak of the labels, namespaces, addresses and ports of a churn.
struct ChurnPolicies {
    static let values = ["app": ["web", "db", "api"], "role": ["red", "green", "blue"]]
    static let objectNamespaces = ["demo", "shop"]
    /// Ports that endpoints serve; TCP but for the last.
    static let traffic = [
        PolicyTraffic(.tcp, 8080), PolicyTraffic(.tcp, 9090), PolicyTraffic(.udp, 5353),
    ]

    /// What blocks of addresses are taken from.
    let prefixes: [String]
    let clusters: [String]
    private var drawn = 0

    init(prefixes: [String], clusters: [String]) {
        self.prefixes = prefixes
        self.clusters = clusters
    }

    /// - Throws: ``LabError`` if the engine refuses what was drawn: an error of this file.
    mutating func draw(_ generator: inout SplitMix64) throws -> ChurnPolicy {
        drawn += 1
        let name = "p\(drawn)"
        return switch Int.random(in: 0..<5, using: &generator) {
        case 0...2: try Self.parse(networkPolicy(name, &generator))
        case 3: try Self.parse(clusterPolicy(name, &generator))
        default: try Self.parse(ciliumPolicy(name, &generator))
        }
    }

    /// A policy that selects nobody.
    static func marker(_ number: Int) throws -> ChurnPolicy {
        try parse(
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: marker-\(number), namespace: demo}
            spec: {podSelector: {matchLabels: {app: nobody}}}

            """)
    }

    private static func parse(_ text: String) throws -> ChurnPolicy {
        let manifest = PolicyManifest(bytes: Array(text.utf8), file: "churn", nowUnixSeconds: 0)
        guard manifest.problems.isEmpty, manifest.policies.count == 1 else {
            throw LabError(.failed, "\(manifest.problems) in\n\(text)")
        }
        return ChurnPolicy(
            name: manifest.policies[0].name, text: text, policy: manifest.policies[0])
    }

    // MARK: Kinds

    private func networkPolicy(_ name: String, _ generator: inout SplitMix64) -> String {
        let types = [["Ingress"], ["Egress"], ["Ingress", "Egress"]].randomElement(
            using: &generator)!
        let sides = types.map { type in
            let side = type == "Ingress" ? "from" : "to"
            let rules = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                var fields: [String] = []
                if chance(5, in: 6, &generator) {
                    let peers = (0..<Int.random(in: 1...2, using: &generator)).map { _ in
                        networkPeer(&generator)
                    }
                    fields.append("\(side): [\(peers.joined(separator: ", "))]")
                }
                if chance(1, in: 2, &generator) { fields.append("ports: [\(port(&generator))]") }
                return "{\(fields.joined(separator: ", "))}"
            }
            return "  \(type.lowercased()): [\(rules.joined(separator: ", "))]\n"
        }
        return """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: \(name), namespace: \(objectNamespace(&generator))}
            spec:
              podSelector: \(selector(&generator))
              policyTypes: [\(types.joined(separator: ", "))]

            """ + sides.joined()
    }

    private func networkPeer(_ generator: inout SplitMix64) -> String {
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: "{ipBlock: \(block(&generator))}"
        case 1: "{namespaceSelector: \(namespaceSelector(&generator))}"
        case 2:
            "{namespaceSelector: \(namespaceSelector(&generator)), "
                + "podSelector: \(selector(asking: "io.weft.cluster", &generator))}"
        default: "{podSelector: \(selector(asking: "io.weft.cluster", &generator))}"
        }
    }

    private func clusterPolicy(_ name: String, _ generator: inout SplitMix64) -> String {
        let sides = ["ingress", "egress"].map { type in
            let rules = (0..<Int.random(in: 0...2, using: &generator)).map { number in
                let action = ["Accept", "Deny", "Pass"].randomElement(using: &generator)!
                let pods =
                    "{pods: {namespaceSelector: {}, "
                    + "podSelector: \(selector(asking: "io.weft.cluster", &generator))}}"
                let ports =
                    chance(1, in: 2, &generator)
                    ? ", protocols: [{tcp: {destinationPort: {number: \(8080)}}}]" : ""
                return "{name: r\(number), action: \(action), "
                    + "\(type == "ingress" ? "from" : "to"): [\(pods)]\(ports)}"
            }
            return "  \(type): [\(rules.joined(separator: ", "))]\n"
        }
        return """
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: {name: \(name)}
            spec:
              tier: \(chance(1, in: 2, &generator) ? "Admin" : "Baseline")
              priority: \(Int.random(in: 0...20, using: &generator))
              subject: {pods: {namespaceSelector: {}, podSelector: \(selector(&generator))}}

            """ + sides.joined()
    }

    private func ciliumPolicy(_ name: String, _ generator: inout SplitMix64) -> String {
        let sides = [("ingress", "from"), ("egress", "to")].shuffled(using: &generator).prefix(1)
            .map { type, side in
                let key = "io.cilium.k8s.policy.cluster"
                let accept = selector(asking: key, &generator)
                let deny = selector(asking: key, &generator)
                return "  \(type): [{\(side)Endpoints: [\(accept)]}]\n"
                    + "  \(type)Deny: [{\(side)Endpoints: [\(deny)]}]\n"
            }
        return """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: {name: \(name), namespace: \(objectNamespace(&generator))}
            spec:
              endpointSelector: \(selector(&generator))

            """ + sides.joined()
    }

    // MARK: Parts

    private func chance(_ share: Int, in whole: Int, _ generator: inout SplitMix64) -> Bool {
        Int.random(in: 0..<whole, using: &generator) < share
    }

    private func objectNamespace(_ generator: inout SplitMix64) -> String {
        Self.objectNamespaces.randomElement(using: &generator)!
    }

    private func namespaceSelector(_ generator: inout SplitMix64) -> String {
        chance(1, in: 3, &generator)
            ? "{}"
            : "{matchLabels: {kubernetes.io/metadata.name: \(objectNamespace(&generator))}}"
    }

    /// - Parameter label: the key that stands for the cluster, in selectors of peers.
    private func selector(asking label: String? = nil, _ generator: inout SplitMix64) -> String {
        var expressions: [String] = []
        if let label {
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: break
            case 1: expressions.append("{key: \(label), operator: Exists}")
            default:
                let cluster = clusters.randomElement(using: &generator)!
                expressions.append("{key: \(label), operator: In, values: [\(cluster)]}")
            }
        }
        for key in Self.values.keys.sorted() where chance(1, in: 2, &generator) {
            let chosen = Self.values[key]!.shuffled(using: &generator)
                .prefix(Int.random(in: 1...2, using: &generator)).joined(separator: ", ")
            let operation = chance(3, in: 4, &generator) ? "In" : "NotIn"
            expressions.append("{key: \(key), operator: \(operation), values: [\(chosen)]}")
        }
        return expressions.isEmpty
            ? "{}" : "{matchExpressions: [\(expressions.joined(separator: ", "))]}"
    }

    private func block(_ generator: inout SplitMix64) -> String {
        let prefix = prefixes.randomElement(using: &generator)!
        let base = prefix.split(separator: "/")[0]
        let bits = prefix.contains(":") ? 128 : 32
        // The first four addresses: the network's, the node's, and those of two endpoints.
        return chance(1, in: 2, &generator)
            ? "{cidr: \"\(prefix)\", except: [\"\(base)/\(bits - 2)\"]}"
            : "{cidr: \"\(base)/\(bits - 2)\"}"
    }

    private func port(_ generator: inout SplitMix64) -> String {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: "{port: 8080}"
        case 1: "{port: 9090}"
        case 2: "{port: 8000, endPort: 9000}"
        default: "{port: 5353, protocol: UDP}"
        }
    }
}
