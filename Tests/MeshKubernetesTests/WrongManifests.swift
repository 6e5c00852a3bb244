// SPDX-License-Identifier: Apache-2.0

import Testing

/// A manifest with one mistake, and how it is reported: `line: message`.
struct WrongManifest: Sendable, CustomTestStringConvertible {
    let yaml: String
    let problem: String
    var testDescription: String { problem }

    init(_ yaml: String, _ problem: String) {
        self.yaml = yaml
        self.problem = problem
    }

    static let all: [WrongManifest] = [
        WrongManifest(
            "kind: Service\nmetadata: {name: a}",
            "1: apiVersion is missing"
        ),
        WrongManifest(
            service(ports: "[{port: 70000}]"),
            "9: spec.ports[0].port is 70000; must be 1...65535"
        ),
        WrongManifest(
            service(ports: "[{port: \"80\"}]"),
            "9: spec.ports[0].port is \"80\"; must be 1...65535"
        ),
        WrongManifest(
            service(ports: "[{name: a}]"), "9: spec.ports[0].port is missing; must be 1...65535"),
        WrongManifest(
            service(ports: "[{port: 1}, {port: 2}]"),
            "9: spec.ports[0].name is missing; each of several ports needs one"
        ),
        WrongManifest(
            service(ports: "[{name: a, port: 1}, {name: a, port: 2}]"),
            "9: spec.ports[1].name is \"a\", as an earlier port's; rename one"
        ),
        WrongManifest(
            service(ports: "[{name: a, port: 1}, {name: b, port: 1}]"),
            "9: spec.ports[1].port is 1/TCP a second time"
        ),
        WrongManifest(
            service(ports: "[{port: 1, protocol: tcp}]"),
            "9: spec.ports[0].protocol is \"tcp\"; must be TCP, UDP or SCTP"
        ),
        WrongManifest(service(ports: "{}"), "9: spec.ports must be a list"),
        WrongManifest(service(ports: "[]"), "9: spec.ports is missing; list at least one"),
        WrongManifest(
            service(ip: "10.96.0"), "8: spec.clusterIP is \"10.96.0\", which is no IP address"),
        WrongManifest(
            service(ip: "127.0.0.1"),
            "8: spec.clusterIP is 127.0.0.1; loopback, link-local, multicast and unspecified "
                + "don't work"
        ),
        WrongManifest(
            service(ip: "\"\""),
            "8: spec.clusterIP is missing; a folder has nobody who allocates addresses: write "
                + "one, or None for a headless service"
        ),
        WrongManifest(
            service(more: "clusterIPs: [10.0.0.1, 10.0.0.2]"),
            "10: spec.clusterIPs[1] is a second address of the same family; one of each is "
                + "allowed"
        ),
        WrongManifest(
            service(annotations: "{service.cilium.io/global: true}"),
            "6: metadata.annotations[service.cilium.io/global] is true, not a string; put it in "
                + "quotes"
        ),
        WrongManifest(
            service(annotations: "{weft.io/affinity: near}"),
            "6: metadata.annotations[weft.io/affinity] is \"near\"; must be \"none\", \"local\" "
                + "or \"remote\""
        ),
        WrongManifest(
            service(more: "sessionAffinity: Cookie"),
            "10: spec.sessionAffinity is \"Cookie\"; must be None or ClientIP"
        ),
        WrongManifest(
            service(
                more: "sessionAffinity: ClientIP\n"
                    + "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}"),
            "11: spec.sessionAffinityConfig.clientIP.timeoutSeconds is 86401; must be 1...86400"
        ),
        WrongManifest(service("Echo"), "5: metadata.name is \"Echo\"; must be a DNS name"),
        WrongManifest(
            slice(endpoint("fd00::1")),
            "9: endpoints[0].addresses[0] is fd00::1, not IPv4 as addressType says"
        ),
        WrongManifest(
            slice(endpoint("10.1.0.1", "{ready: \"true\"}")),
            "9: endpoints[0].conditions.ready must be true or false, without quotes"
        ),
        WrongManifest(
            slice("{addresses: []}"), "9: endpoints[0].addresses is empty; write one address"),
        WrongManifest(slice(type: "IPX"), "7: addressType is \"IPX\"; must be IPv4 or IPv6"),
        WrongManifest(
            slice(service: "''"),
            "6: metadata.labels lacks kubernetes.io/service-name; name the service there"
        ),
        WrongManifest(
            "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice",
            "1: apiVersion is discovery.k8s.io/v1beta1; must be discovery.k8s.io/v1"
        ),
        WrongManifest(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {version: 1.5}",
            "5: metadata.labels[version] is 1.5, not a string; put it in quotes"
        ),
        WrongManifest(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  <<: {a: b}\n  name: a",
            "4: a merge key (<<) is not supported; write the fields out"
        ),
        WrongManifest(
            service(ports: "[{port: 1, appProtocol: 'a b'}]"),
            "9: spec.ports[0].appProtocol is \"a b\"; must be like a label's key"
        ),
        WrongManifest(
            service(ip: "None", more: "ipFamilies: [IPv4, IPv4]"),
            "10: spec.ipFamilies[1] is IPv4 a second time"
        ),
        WrongManifest(
            service(ip: "None", more: "ipFamilies: [ipv4]"),
            "10: spec.ipFamilies[0] is \"ipv4\"; must be IPv4 or IPv6"
        ),
        WrongManifest(
            slice("{addresses: [10.1.0.1], hostname: web_0}"),
            "9: endpoints[0].hostname is \"web_0\"; must be a DNS label"
        ),
        WrongManifest(
            export("exportedLabels: {tier: a b}"),
            "5: spec.exportedLabels.tier has a value that no label can have"
        ),
        WrongManifest(
            export("exportedLabels: {tier: 1}"),
            "5: spec.exportedLabels[tier] is 1, not a string; put it in quotes"
        ),
        WrongManifest(
            export("exportedAnnotations: {weft.io/shared: 'true'}"),
            "5: spec.exportedAnnotations[weft.io/shared] is for Weft alone to write"
        ),
        WrongManifest(
            export("{}").replacing("web", with: "web.eu"),
            "3: metadata.name is \"web.eu\"; must be a DNS label"
        ),
        WrongManifest("- a\n- b", "1: must be a map of fields"),
    ]
}

private func export(_ spec: String) -> String {
    """
    apiVersion: multicluster.x-k8s.io/v1beta1
    kind: ServiceExport
    metadata: {name: web, namespace: shop}
    spec:
      \(spec)

    """
}
