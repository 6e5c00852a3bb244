// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// Whom a bearer token stands for, and what RBAC lets it do.
public struct DoubleUser: Hashable, Sendable {
    public struct Rule: Hashable, Sendable {
        public let verbs: Set<String>
        /// `leases`, `serviceexports/status`.
        public let resources: Set<String>

        public init(_ verbs: Set<String>, _ resources: Set<String>) {
            self.verbs = verbs
            self.resources = resources
        }
    }

    public var name: String
    public var uid: String
    public var groups: [String]
    /// Of the token; the server's own if empty.
    public var audiences: [String]
    /// Nil: everything.
    public var rules: [Rule]?
    /// The pod that a service account's token is bound to; nil: none.
    public var pod: Pod?
    /// Whether its token is over.
    public var hasExpired = false

    public struct Pod: Hashable, Sendable {
        public var namespace: String
        public var name: String
        public var uid: String

        public init(namespace: String, name: String, uid: String) {
            self.namespace = namespace
            self.name = name
            self.uid = uid
        }
    }

    public init(
        _ name: String, uid: String = "", groups: [String] = ["system:authenticated"],
        audiences: [String] = [], rules: [Rule]? = nil, pod: Pod? = nil
    ) {
        self.pod = pod
        self.name = name
        self.uid = uid
        self.groups = groups
        self.audiences = audiences
        self.rules = rules
    }

    func check(_ verb: String, _ target: DoubleTarget) throws(DoubleStatus) {
        let resource = [target.resource.plural, target.subresource].compactMap { $0 }
            .joined(separator: "/")
        try check(verb, resource, target)
    }

    func check(_ verb: String, _ resource: String, _ target: DoubleTarget?) throws(DoubleStatus) {
        guard let rules else { return }
        guard rules.contains(where: { $0.verbs.contains(verb) && $0.resources.contains(resource) })
        else {
            if let target { throw .forbidden(user: name, verb: verb, target) }
            throw DoubleStatus(
                code: 403, reason: "Forbidden",
                message: "\(resource) is forbidden: User \"\(name)\" cannot \(verb) it")
        }
    }
}

extension DoubleState {
    /// From now on every request needs a token.
    public mutating func admit(_ user: DoubleUser, token: String) { users[token] = user }

    public mutating func expire(token: String) { users[token] = nil }

    func user(of request: DoubleRequest) throws(DoubleStatus) -> DoubleUser? {
        guard requiresToken else { return nil }
        guard let token = request.token, let user = users[token], user.audiences.isEmpty
        else { throw .unauthorized }
        return user
    }

    /// `TokenRequest`: a token for a service account, bound to an audience and perhaps to a pod.
    mutating func issue(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> DoubleAnswer {
        let wanted = try body(request, target)
        let (namespace, name) = (target.namespace ?? "", target.name ?? "")
        uids += 1
        let token = "double.\(uids).\(name)"
        let audiences = wanted["spec"]["audiences"].items.compactMap(\.text)
        let uid = "00000000-0000-4000-8000-\(String(1_000_000_000_000 + uids).dropFirst())"
        let bound = wanted["spec"]["boundObjectRef"]
        var pod: DoubleUser.Pod?
        if bound["kind"] == "Pod" {
            let name = bound["name"].text ?? ""
            guard let present = object(.pods, namespace: namespace, name: name),
                let podUID = present["metadata"]["uid"].text,
                bound["uid"] == .null || bound["uid"].text == podUID
            else {
                throw DoubleStatus(
                    code: 404, reason: "NotFound", message: "pods \"\(name)\" not found")
            }
            pod = DoubleUser.Pod(namespace: namespace, name: name, uid: podUID)
        }
        users[token] = DoubleUser(
            "system:serviceaccount:\(namespace):\(name)", uid: uid,
            groups: [
                "system:serviceaccounts", "system:serviceaccounts:\(namespace)",
                "system:authenticated",
            ], audiences: audiences, pod: pod)
        let seconds = wanted["spec"]["expirationSeconds"].integer ?? 3600
        guard seconds >= 600 else {
            throw .invalid(
                target.resource, name,
                [
                    (
                        "spec.expirationSeconds",
                        "Invalid value: \(seconds): may not specify a duration less than 10 minutes"
                    )
                ])
        }
        let answer: JSONValue = [
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": [
                "name": .string(name), "namespace": .string(namespace), "uid": .string(uid),
                "creationTimestamp": .string(timestamp), "managedFields": managedFields("token"),
            ],
            "spec": [
                "audiences": wanted["spec"]["audiences"],
                "expirationSeconds": .number("\(seconds)"), "boundObjectRef": bound,
            ],
            "status": [
                "token": .string(token), "expirationTimestamp": .string(timestamp),
            ],
        ]
        return DoubleAnswer(status: 201, body: answer.bytes)
    }

    /// `TokenReview`: whose a token is, if it is one for that audience.
    func review(_ request: DoubleRequest) throws(DoubleStatus) -> DoubleAnswer {
        guard let wanted = try? JSONValue(request.body) else {
            throw .badRequest("the object provided is unrecognized (must be of type TokenReview)")
        }
        let token = wanted["spec"]["token"].text ?? ""
        let asked = wanted["spec"]["audiences"].items.compactMap(\.text)
        var status: JSONValue = ["user": .object([])]
        if let user = users[token] {
            let common = asked.filter(user.audiences.contains)
            if common.isEmpty, !asked.isEmpty || !user.audiences.isEmpty {
                status["error"] = .string(
                    "[invalid bearer token, token audiences \(Self.list(user.audiences)) is invalid "
                        + "for the target audiences \(Self.list(asked))]")
            } else if user.hasExpired {
                status["error"] =
                    "[invalid bearer token, service account token has expired]"
            } else if let pod = user.pod, self.pod(pod) == nil {
                // As when the pod is gone, or another one has its name.
                status["error"] =
                    "[invalid bearer token, service account token has been invalidated]"
            } else {
                status = [
                    "authenticated": true,
                    "user": [
                        "username": .string(user.name), "uid": .string(user.uid),
                        "groups": .array(user.groups.map { .string($0) }),
                        "extra": extra(of: user),
                    ],
                    "audiences": .array(common.map { .string($0) }),
                ]
            }
        } else {
            status["error"] =
                "[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]"
        }
        let answer: JSONValue = [
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
            "metadata": ["managedFields": managedFields()], "spec": wanted["spec"],
            "status": status,
        ]
        return DoubleAnswer(status: 201, body: answer.bytes)
    }

    /// What a review says of a token: of a bound one also its pod and, since 1.30, its node.
    private func extra(of user: DoubleUser) -> JSONValue {
        var extra: JSONValue = ["authentication.kubernetes.io/credential-id": ["JTI=double"]]
        guard let pod = user.pod, let present = self.pod(pod) else { return extra }
        func add(_ name: String, _ text: String?) {
            guard let text else { return }
            extra["authentication.kubernetes.io/" + name] = [.string(text)]
        }
        if namesNodesOfTokens, let node = present["spec"]["nodeName"].text {
            add("node-name", node)
            add("node-uid", object(.nodes, name: node)?["metadata"]["uid"].text)
        }
        add("pod-name", pod.name)
        add("pod-uid", pod.uid)
        return extra
    }

    private func pod(_ pod: DoubleUser.Pod) -> JSONValue? {
        let present = object(.pods, namespace: pod.namespace, name: pod.name)
        return present?["metadata"]["uid"].text == pod.uid ? present : nil
    }

    private func managedFields(_ subresource: String? = nil) -> JSONValue {
        var fields: JSONValue = [
            "manager": "weftd", "operation": "Update", "apiVersion": "authentication.k8s.io/v1",
            "time": .string(timestamp), "fieldsType": "FieldsV1", "fieldsV1": .object([]),
        ]
        if let subresource { fields["subresource"] = .string(subresource) }
        return [fields]
    }

    private static func list(_ texts: [String]) -> String {
        "[\(texts.map { "\"\($0)\"" }.joined(separator: " "))]"
    }
}
