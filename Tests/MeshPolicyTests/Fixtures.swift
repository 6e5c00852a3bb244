// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshPolicy

/// Policies of cluster `east`, from YAML, and who is asked about.
struct PolicyFixture {
    let book: PolicyBook

    init(_ yaml: String, scope: PolicyScope = .localCluster) throws {
        let manifest = PolicyManifest(
            bytes: Array(yaml.utf8), file: "policy.yaml", nowUnixSeconds: 0)
        try #require(manifest.problems.isEmpty, "\(manifest.problems)")
        book = try PolicyBook(
            manifest.policies,
            environment: PolicyEnvironment(
                cluster: ClusterName(rawValue: "east")!, scope: scope))
    }

    /// Asks the engine and the compiled policy; they must agree.
    func decide(
        _ direction: PolicyDirection, _ subject: Principal, _ peer: PolicyPeer,
        at address: String? = nil, _ traffic: PolicyTraffic
    ) throws -> PolicyDecision {
        let address = address.map { Address($0)! }
        let decided = book.decide(
            direction, subject: subject, peer: peer, at: address, traffic: traffic)
        var compiled = try CompiledPolicy(book.set(for: subject), in: book)
        let key = PeerKey(
            identity: peer == .world ? .world : Identity(rawValue: 7 << 20 | 300),
            prefix: address.flatMap(book.classes.longest))
        if peer != .world, peer != .unknown {
            try compiled.insert(key, book.matches(of: peer, in: key.prefix))
        }
        let looked = compiled.decision(
            direction, peer: key, isKnown: peer != .unknown, traffic: traffic)
        #expect(looked == decided)
        return decided
    }

    func allows(
        _ direction: PolicyDirection, _ subject: Principal, _ peer: PolicyPeer,
        at address: String? = nil, _ traffic: PolicyTraffic
    ) throws -> Bool {
        try decide(direction, subject, peer, at: address, traffic).allows
    }
}

extension Principal {
    static func pod(
        _ labels: Labels = [:], in namespace: String = "shop", of cluster: String = "east",
        team: String = "red", ports: [NamedPort] = []
    ) -> Principal {
        Principal(
            cluster: ClusterName(rawValue: cluster)!, namespace: namespace,
            namespaceLabels: ["team": team], labels: labels, namedPorts: ports)
    }
}

extension PolicyPeer {
    static func pod(
        _ labels: Labels = [:], in namespace: String = "shop", of cluster: String = "east",
        team: String = "red", ports: [NamedPort] = []
    ) -> PolicyPeer {
        .endpoint(.pod(labels, in: namespace, of: cluster, team: team, ports: ports))
    }
}

/// A NetworkPolicy for pods with the label app=db in namespace shop.
func networkPolicy(_ spec: String) -> String {
    policy("NetworkPolicy", "networking.k8s.io/v1", "namespace: shop, name: db", spec)
}

func policy(_ kind: String, _ version: String, _ metadata: String, _ spec: String) -> String {
    """
    apiVersion: \(version)
    kind: \(kind)
    metadata: {\(metadata)}
    spec:
      \(spec.split(separator: "\n").joined(separator: "\n  "))
    ---

    """
}

func clusterPolicy(
    _ name: String, tier: String = "Admin", priority: Int = 10,
    subject: String = "{namespaces: {}}", _ rules: String
) -> String {
    policy(
        "ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2", "name: \(name)",
        "tier: \(tier)\npriority: \(priority)\nsubject: \(subject)\n\(rules)")
}

func ciliumPolicy(_ spec: String, clusterwide: Bool = false) -> String {
    policy(
        clusterwide ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy", "cilium.io/v2",
        clusterwide ? "name: wide" : "namespace: shop, name: mesh", spec)
}

let db = Principal.pod(["app": "db"])
let web = PolicyPeer.pod(["app": "web"])
let tcp80 = PolicyTraffic(.tcp, 80)
