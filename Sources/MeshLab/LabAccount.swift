// SPDX-License-Identifier: Apache-2.0

/// Who a process is to its cluster's API server, and what it may there: no more than it needs.
struct LabAccount {
    struct Rule {
        let verbs: [String]
        let resources: [String]

        init(_ verbs: [String], _ resources: [String]) {
            self.verbs = verbs
            self.resources = resources
        }
    }

    static let namespace = "weft-system"

    /// Of a service account.
    let name: String
    let rules: [Rule]

    /// In a cluster whose nodes hold the authority: an agent that may publish.
    static let candidate = LabAccount(
        name: "weftd",
        rules: [
            Rule(["get"], ["nodes"]), Rule(read, ["nodes", "pods"] + objects),
            Rule(["get", "create", "update"], ["leases"]),
        ] + writing)

    /// An agent, as the manifests have it.
    static let agent = LabAccount(
        name: "weft",
        rules: [
            Rule(["get"], ["nodes"]), Rule(read, ["nodes", "pods"] + objects),
            Rule(["create", "patch"], ["events"]),
        ])

    /// A replica of an authority that is no node, as the manifests have it.
    static let authority = LabAccount(
        name: "weft-authority",
        rules: [
            Rule(read, ["nodes"] + objects), Rule(["get"], ["pods"]),
            Rule(["get", "create", "update"], ["leases", "secrets"]),
            Rule(["patch"], ["configmaps"]), Rule(["create"], ["tokenreviews"]),
        ] + writing)

    private static let read = ["list", "watch"]
    private static let objects = [
        "namespaces", "services", "endpointslices", "networkpolicies", "clusternetworkpolicies",
        "serviceexports", "serviceimports",
    ]
    /// What the multi-cluster API has a publisher write, and Events.
    private static let writing = [
        Rule(["create", "patch", "delete"], ["services", "endpointslices", "serviceimports"]),
        Rule(["patch"], ["serviceexports/status", "serviceimports/status"]),
        Rule(["create", "patch"], ["events"]),
    ]

    /// JSON: that who shows `token` is this account.
    ///
    /// - Parameter uid: tells its processes apart.
    func admission(of token: String, uid: String) -> String {
        let rules = rules.map {
            "{\"verbs\": \(list($0.verbs)), \"resources\": \(list($0.resources))}"
        }
        return "{\"token\": \(quote(token)), \"uid\": \(quote(uid)), \"user\": \(quote(user)), "
            + "\"rules\": [\(rules.joined(separator: ", "))]}"
    }

    /// JSON: that `token` was made for a pod of this account, and for an audience that isn't the API server.
    func admission(of token: String, for audience: String, pod: String, uid: String) -> String {
        let bound =
            "{\"namespace\": \(quote(Self.namespace)), \"name\": \(quote(pod)), "
            + "\"uid\": \(quote(uid))}"
        return "{\"token\": \(quote(token)), \"uid\": \(quote(name)), \"user\": \(quote(user)), "
            + "\"rules\": [], \"audiences\": \(list([audience])), \"pod\": \(bound)}"
    }

    private var user: String { "system:serviceaccount:\(Self.namespace):\(name)" }

    private func list(_ texts: [String]) -> String {
        "[\(texts.map(quote).joined(separator: ", "))]"
    }

    /// Nobody guesses it.
    static func freshToken() -> String {
        (0..<32).map { _ in
            let digits = String(UInt8.random(in: 0...255), radix: 16)
            return digits.count == 1 ? "0\(digits)" : digits
        }.joined()
    }
}
