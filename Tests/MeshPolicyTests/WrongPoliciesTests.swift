// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

@testable import MeshPolicy

@Suite("Policies that can't be used")
struct WrongPoliciesTests {
    private static func np(_ spec: String) -> String { networkPolicy(spec) }

    /// A manifest, and how the complaint about it begins behind the file and line.
    static let wrong: [(String, String)] = [
        (np("podSelector: {}\ningres: []"), "spec.ingres is no field that Weft knows here"),
        (np("podSelector: {}\ningress: [{form: []}]"), "spec.ingress[0].form is no field"),
        (np("podSelector: {}\ningress: [{from: [{}]}]"), "spec.ingress[0].from[0] is empty"),
        (
            np(
                "podSelector: {}\ningress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]"
            ), "spec.ingress[0].from[0].ipBlock can't stand beside"
        ),
        (
            np("podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]"),
            "spec.ingress[0].from[0].ipBlock.cidr is \"10.0.0.0\", which is no"
        ),
        (
            np("podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]"),
            "spec.ingress[0].from[0].ipBlock.cidr is"
        ),
        (
            np("podSelector: {}\ningress: [{from: [{ipBlock: {cidr: \"::ffff:10.0.0.0/104\"}}]}]"),
            "spec.ingress[0].from[0].ipBlock.cidr is"
        ),
        (
            np(
                "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]"
            ), "spec.ingress[0].from[0].ipBlock.except[0] is 11.0.0.0/16, which is no part"
        ),
        (
            np(
                "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]"
            ), "spec.ingress[0].from[0].ipBlock.except[0] is 10.0.0.0/8, which is no part"
        ),
        (
            np(
                "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: \"::/0\", except: [10.0.0.0/8]}}]}]"
            ), "spec.ingress[0].from[0].ipBlock.except[0] is 10.0.0.0/8, which is no part"
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{port: 0}]}]"),
            "spec.ingress[0].ports[0].port is 0; must be 1...65535"
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{port: 65536}]}]"),
            "spec.ingress[0].ports[0].port is 65536"
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{port: \"80\"}]}]"),
            "spec.ingress[0].ports[0].port is \"80\", which no port can be called"
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{port: sixteen-letters-}]}]"),
            "spec.ingress[0].ports[0].port is \"sixteen-letters-\""
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{endPort: 9}]}]"),
            "spec.ingress[0].ports[0].endPort needs port"
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{port: http, endPort: 9}]}]"),
            "spec.ingress[0].ports[0].endPort needs a port with a number"
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{port: 10, endPort: 9}]}]"),
            "spec.ingress[0].ports[0].endPort is 9, less than port, 10"
        ),
        (
            np("podSelector: {}\ningress: [{ports: [{protocol: ICMP}]}]"),
            "spec.ingress[0].ports[0].protocol is \"ICMP\"; must be TCP, UDP or SCTP"
        ),
        (
            np("podSelector: {}\npolicyTypes: [ingress]"),
            "spec.policyTypes[0] is \"ingress\"; must be"
        ),
        (
            np("podSelector: {matchLabels: {app: 'a b'}}"),
            "spec.podSelector.matchLabels.app is \"a b\", which is no value"
        ),
        (
            np("podSelector: {matchLabels: {'a/b/c': x}}"),
            "spec.podSelector.matchLabels.a/b/c asks for \"a/b/c\", which is no key"
        ),
        (
            np("podSelector: {matchLabels: {app: 1}}"),
            "spec.podSelector.matchLabels[app] is 1, not a string"
        ),
        (
            np("podSelector: {matchExpressions: [{key: app, operator: In}]}"),
            "spec.podSelector.matchExpressions[0].values is empty"
        ),
        (
            np("podSelector: {matchExpressions: [{key: app, operator: Exists, values: [a]}]}"),
            "spec.podSelector.matchExpressions[0].values must be empty"
        ),
        (
            np("podSelector: {matchExpressions: [{key: app, operator: Like, values: [a]}]}"),
            "spec.podSelector.matchExpressions[0].operator is \"Like\""
        ),
        (
            np(
                "podSelector: {matchLabels: {app: a}, matchExpressions: [{key: app, operator: NotIn, values: [a]}]}"
            ), "spec.podSelector selects nothing: it asks the label app for what excludes itself"
        ),
        (
            np(
                "podSelector: {matchExpressions: [{key: a, operator: Exists}, {key: a, operator: DoesNotExist}]}"
            ), "spec.podSelector selects nothing"
        ),
        (
            np(
                "podSelector: {matchExpressions: [{key: a, operator: In, values: [x]}, {key: a, operator: In, values: [y]}]}"
            ), "spec.podSelector selects nothing"
        ),
        (
            np("podSelector: {matchExpressions: [{key: io.weft.cluster, operator: DoesNotExist}]}"),
            "spec.podSelector selects nothing: it asks the cluster"
        ),
        (
            policy("NetworkPolicy", "extensions/v1beta1", "name: a", "podSelector: {}"),
            "apiVersion is extensions/v1beta1; must be networking.k8s.io/v1"
        ),
        (
            policy("GlobalNetworkPolicy", "crd.projectcalico.org/v1", "name: a", "order: 1"),
            "kind is GlobalNetworkPolicy, a kind of policy that Weft doesn't know"
        ),
        (clusterPolicy("a", tier: "Middle", "ingress: []"), "spec.tier is \"Middle\""),
        (
            clusterPolicy("a", priority: 1001, "ingress: []"),
            "spec.priority is 1001; must be 0...1000"
        ),
        (
            clusterPolicy("a", subject: "{}", "ingress: []"),
            "spec.subject must have exactly one of namespaces, pods"
        ),
        (
            clusterPolicy("a", subject: "{pods: {podSelector: {}}}", "ingress: []"),
            "spec.subject.pods.namespaceSelector is missing"
        ),
        (
            clusterPolicy("a", "ingress: [{action: Allow, from: [{namespaces: {}}]}]"),
            "spec.ingress[0].action is \"Allow\""
        ),
        (clusterPolicy("a", "ingress: [{action: Deny}]"), "spec.ingress[0].from is empty"),
        (
            clusterPolicy("a", "ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]"),
            "spec.ingress[0].from[0].networks is no field"
        ),
        (
            clusterPolicy("a", "egress: [{action: Deny, to: [{nodes: {}}]}]"),
            "spec.egress[0].to[0].nodes is not supported"
        ),
        (
            clusterPolicy("a", "egress: [{action: Accept, to: [{domainNames: [a.example]}]}]"),
            "spec.egress[0].to[0].domainNames is not supported: names are not resolved"
        ),
        (
            clusterPolicy(
                "a",
                "egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: http}]}]"
            ), "spec.egress[0].protocols asks networks for a port by name"
        ),
        (
            clusterPolicy(
                "a", "egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}], protocols: []}]"),
            "spec.egress[0].protocols is empty"
        ),
        (
            clusterPolicy(
                "a",
                "egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}], protocols: [{tcp: {destinationPort: {range: {start: 9, end: 9}}}}]}]"
            ), "spec.egress[0].protocols[0].tcp.destinationPort.range.end is 9"
        ),
        (
            clusterPolicy(
                "a",
                "ingress: [\(Array(repeating: "{action: Deny, from: [{namespaces: {}}]}", count: 26).joined(separator: ", "))]"
            ), "spec.ingress has 26 elements; at most 25"
        ),
        (
            policy(
                "BaselineAdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", "name: default",
                "subject: {namespaces: {}}\ningress: [{action: Pass, from: [{namespaces: {}}]}]"),
            "spec.ingress[0].action is \"Pass\""
        ),
        (
            policy(
                "BaselineAdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", "name: other",
                "subject: {namespaces: {}}"), "metadata.name is \"other\"; must be default"
        ),
        (ciliumPolicy("nodeSelector: {}"), "spec.nodeSelector is not supported"),
        (ciliumPolicy("ingress: []"), "spec.endpointSelector is missing"),
        (ciliumPolicy("endpointSelector: {}\nspecial: 1"), "spec.special is no field"),
        (
            ciliumPolicy("endpointSelector: {}\negress: [{toFQDNs: [{matchName: a}]}]"),
            "spec.egress[0].toFQDNs is not supported"
        ),
        (
            ciliumPolicy(
                "endpointSelector: {}\ningress: [{fromEndpoints: [{}], fromEntities: [all]}]"),
            "spec.ingress[0].fromEntities can't stand beside fromEndpoints"
        ),
        (
            ciliumPolicy("endpointSelector: {}\ningress: [{fromEntities: [kube-apiserver]}]"),
            "spec.ingress[0].fromEntities[0] is \"kube-apiserver\""
        ),
        (
            ciliumPolicy(
                "endpointSelector: {}\ningress: [{toPorts: [{ports: [{port: \"80\"}], rules: {http: [{}]}}]}]"
            ), "spec.ingress[0].toPorts[0].rules is not supported"
        ),
        (
            ciliumPolicy("endpointSelector: {}\ningress: [{toPorts: [{ports: [{port: \"0\"}]}]}]"),
            "spec.ingress[0].toPorts[0].ports[0].port is 0 without a protocol"
        ),
        (
            ciliumPolicy(
                "endpointSelector: {}\ningress: [{toPorts: [{ports: [{port: \"70000\"}]}]}]"),
            "spec.ingress[0].toPorts[0].ports[0].port is 70000"
        ),
        (
            ciliumPolicy("endpointSelector: {}\ningress: [{icmps: [{fields: [{type: Knock}]}]}]"),
            "spec.ingress[0].icmps[0].fields[0].type is \"Knock\""
        ),
        (
            ciliumPolicy("endpointSelector: {}\ningress: [{fromCIDRSet: [{cidrGroupRef: a}]}]"),
            "spec.ingress[0].fromCIDRSet[0].cidrGroupRef is not supported"
        ),
        (
            ciliumPolicy("endpointSelector: {matchLabels: {\"container:id\": a}}"),
            "spec.endpointSelector.matchLabels.container:id asks for labels of container"
        ),
        (
            ciliumPolicy(
                "endpointSelector: {matchLabels: {io.cilium.k8s.policy.serviceaccount: a}}"),
            "spec.endpointSelector.matchLabels[io.cilium.k8s.policy.serviceaccount] asks for"
        ),
        (
            ciliumPolicy(
                "endpointSelector: {matchLabels: {\"k8s:io.kubernetes.pod.namespace\": pay}}"),
            "spec.endpointSelector selects nothing in namespace shop"
        ),
    ]

    @Test("each is refused as a whole, by the path of the field", arguments: wrong)
    func refused(_ yaml: String, complaint: String) {
        let manifest = PolicyManifest(bytes: Array(yaml.utf8), file: "p.yaml", nowUnixSeconds: 7)
        #expect(manifest.policies.isEmpty)
        #expect(manifest.problems.count == 1)
        let message = manifest.problems.first?.message ?? ""
        #expect(message.hasPrefix(complaint), "\(message)")
    }

    @Test("ten megabytes, deep nests and explosions of aliases are refused before they are read")
    func sizes() {
        let rules = Array(repeating: "{ports: [{port: 1}]}", count: 1001).joined(separator: ",")
        let manifests = [
            "podSelector: {}\ningress: [\(rules)]",
            "podSelector: {}\n#" + String(repeating: "x", count: 10 << 20),
            "podSelector: {}\ningress: &a [{from: []}]\negress: ["
                + Array(repeating: "*a", count: 40).joined(separator: ",") + "]",
        ].map(networkPolicy)
        let expected = ["has 1001 elements", "larger than 4 MiB", "too many YAML aliases"]
        for (yaml, complaint) in zip(manifests, expected) {
            let manifest = PolicyManifest(bytes: Array(yaml.utf8), file: "p", nowUnixSeconds: 0)
            #expect(manifest.policies.isEmpty)
            #expect(manifest.problems.first?.message.contains(complaint) == true)
        }
    }

    @Test("bytes cut off or changed anywhere crash nothing and are read the same twice")
    func mutations() {
        let whole = Array(
            (networkPolicy("podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]")
                + clusterPolicy("a", "ingress: [{action: Deny, from: [{namespaces: {}}]}]")
                + ciliumPolicy("endpointSelector: {}\ningress: [{fromEntities: [all]}]")).utf8)
        var random = SplitMix64(seed: 1)
        for _ in 0..<1500 {
            var bytes = Array(whole.prefix(Int.random(in: 0...whole.count, using: &random)))
            if !bytes.isEmpty {
                let index = Int.random(in: bytes.indices, using: &random)
                bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
            let manifest = PolicyManifest(bytes: bytes, file: "p", nowUnixSeconds: 0)
            let again = PolicyManifest(bytes: bytes, file: "p", nowUnixSeconds: 0)
            #expect(manifest.policies == again.policies)
            #expect(manifest.problems == again.problems)
        }
    }
}
