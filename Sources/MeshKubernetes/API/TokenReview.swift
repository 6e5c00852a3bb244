// SPDX-License-Identifier: Apache-2.0

/// `TokenReview` of `authentication.k8s.io/v1`: whose a bearer token is, as an API server says. Sans-IO.
public struct TokenReview: Hashable, Sendable {
    /// That the token is good, and for one of the audiences that were asked about.
    public let isAuthenticated: Bool
    /// `system:serviceaccount:NAMESPACE:NAME` for a service account.
    public let username: String
    /// Of those that were asked about, which the token is for. Empty from a server that doesn't know
    /// audiences, whatever else it says.
    public let audiences: [String]
    /// What else the server knows of the token, by the names it has for it.
    public let extra: [String: [String]]

    /// - Parameter token: in the body alone, which no error repeats.
    public static func request(of token: String, for audience: String) -> ObjectRequest {
        let body: JSONValue = [
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": ["token": .string(token), "audiences": [.string(audience)]],
        ]
        return ObjectRequest(.post, ObjectPath(.tokenReviews), body: body.bytes)
    }

    /// - Throws: ``KubernetesError`` `.malformed`.
    public init(_ answer: [UInt8]) throws(KubernetesError) {
        let review: JSONValue
        do throws(JSONFault) { review = try JSONValue(answer) } catch {
            throw KubernetesError(.malformed, "the TokenReview is no JSON")
        }
        guard review["kind"] == "TokenReview", case .object = review["status"]
        else { throw KubernetesError(.malformed, "the answer is no TokenReview") }
        let status = review["status"]
        isAuthenticated = status["authenticated"].isTrue
        username = status["user"]["username"].text ?? ""
        audiences = status["audiences"].items.compactMap(\.text)
        extra = Dictionary(
            status["user"]["extra"].members.map { ($0.key, $0.value.items.compactMap(\.text)) }
        ) { $1 }
    }

    /// The node of the pod that the token is bound to; nil before Kubernetes 1.30, and for a token
    /// that is bound to no pod.
    public var nodeName: String? { only("node-name") }
    public var podName: String? { only("pod-name") }
    public var podUID: String? { only("pod-uid") }

    private func only(_ name: String) -> String? {
        guard let values = extra["authentication.kubernetes.io/" + name], values.count == 1
        else { return nil }
        return values[0]
    }
}
