// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshTrust

/// Why a token doesn't make somebody a node. Its sentence is for the log and for whoever showed the
/// token, and has nothing of the token.
enum AttestationFault: Error, Hashable {
    /// Expired, revoked, forged, of a pod that is gone, or for another audience: the API server tells
    /// these apart in words only, which aren't repeated.
    case notAuthenticated
    /// The API server doesn't say that the token is for ``ServiceAccountAttestor/audience``.
    case otherAudience
    case otherAccount(ServiceAccountName?, expected: ServiceAccountName)
    /// The token is bound to no pod.
    case unbound
    case otherNode(String, asked: String)
    /// The API server gives no answer, or none that is one; asking again may help.
    case unanswered(KubernetesError.Code)
}

extension AttestationFault: AuditPrintable, CustomStringConvertible {
    var description: String {
        switch self {
        case .notAuthenticated:
            "the API server doesn't vouch for the token: it has expired, was made for another audience than '\(ServiceAccountAttestor.audience)' or by another cluster, or its pod is gone"
        case .otherAudience:
            "the API server doesn't say that the token is for the audience '\(ServiceAccountAttestor.audience)'"
        case .otherAccount(let account, let expected):
            "the token is of \(account.map { "the service account \($0)" } ?? "no service account"), not of \(expected)"
        case .unbound:
            "the token isn't bound to a pod: use a projected volume, not a secret or 'kubectl create token'"
        case .otherNode(let node, let asked):
            "the token's pod runs on node '\(node)', not on '\(asked)': node.name must be what Kubernetes calls the node"
        case .unanswered(let code):
            "the API server doesn't say whose the token is (\(code.rawValue)): it is tried again"
        }
    }

    /// As counted.
    var outcome: AttestationOutcome {
        switch self {
        case .notAuthenticated: .notAuthenticated
        case .otherAudience: .otherAudience
        case .otherAccount: .otherAccount
        case .unbound, .otherNode: .otherNode
        case .unanswered: .unanswered
        }
    }
}

/// Asks an API server whether a token is of an agent's pod on the node that it says it is.
struct ServiceAccountAttestor: Sendable {
    /// Sends one request, once; see ``KubernetesClient/answer(to:)``.
    typealias Ask = @Sendable (ObjectRequest) async throws(KubernetesError) -> [UInt8]

    static let audience = "weft"
    /// For all of the API server's answers; the node waits twice as long for its own.
    static let patience = Duration.seconds(5)

    let account: ServiceAccountName
    var patience = Self.patience
    let ask: Ask

    /// - Parameter node: the name of the node that the token has to be of.
    func attest(_ token: BearerToken, as node: String) async throws(AttestationFault) {
        let outcome = await withTaskGroup(of: Result<Void, AttestationFault>.self) { group in
            group.addTask {
                do throws(AttestationFault) {
                    return .success(try await judge(token, as: node))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask { [patience] in
                // Cancelled when there is an answer.
                try? await Task.sleep(for: patience)
                return .failure(.unanswered(.timedOut))
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(.unanswered(.timedOut))
        }
        try outcome.get()
    }

    private func judge(_ token: BearerToken, as node: String) async throws(AttestationFault) {
        let review: TokenReview
        do throws(KubernetesError) {
            review = try TokenReview(
                await ask(TokenReview.request(of: token.exposed, for: Self.audience)))
        } catch {
            throw .unanswered(error.code)
        }
        guard review.isAuthenticated else { throw .notAuthenticated }
        // A server that knows no audiences leaves them out, and would let any token of a pod pass.
        guard review.audiences.contains(Self.audience) else { throw .otherAudience }
        let found = ServiceAccountName(username: review.username)
        guard found == account else { throw .otherAccount(found, expected: account) }
        let home = try await self.node(of: review)
        guard home == node else { throw .otherNode(home, asked: node) }
    }

    private func node(of review: TokenReview) async throws(AttestationFault) -> String {
        if let name = review.nodeName { return name }
        // Before 1.30 an API server names the pod alone.
        guard let pod = review.podName, let uid = review.podUID else { throw .unbound }
        do throws(KubernetesError) {
            let bytes = try await ask(
                ObjectRequest(.get, ObjectPath(.pods, namespace: account.namespace, name: pod)))
            let object = try? JSONValue(bytes)
            guard let object, object["metadata"]["uid"].text == uid else {
                throw KubernetesError(.notFound, "another pod has the name now")
            }
            guard let node = object["spec"]["nodeName"].text else {
                throw KubernetesError(.notFound, "the pod is on no node")
            }
            return node
        } catch {
            throw error.code == .notFound ? .notAuthenticated : .unanswered(error.code)
        }
    }
}
