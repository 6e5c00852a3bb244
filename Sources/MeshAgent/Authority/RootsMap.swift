// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshKubernetes
import MeshLease
import MeshModel

/// Tells the cluster's roots, which are public, to its nodes before they have a certificate: in a
/// ConfigMap that the manifests make and their pods mount.
actor RootsMap {
    static let name = "weft-roots"

    private let namespace: String
    private let kubernetes: KubernetesAccess
    private let file: DurableFile
    private let log: Logger
    private var published: String?
    private var isFailing = false
    private var nextAttempt = Instant.zero
    private static let retry = Duration.seconds(5)

    init(
        _ configuration: AgentConfiguration, namespace: String, _ kubernetes: KubernetesAccess,
        _ log: Logger
    ) {
        self.namespace = namespace
        self.kubernetes = kubernetes
        self.log = log
        file = DurableFile(
            path: "\(configuration.paths.trust)/\(TrustMaterial.bundleFile)",
            maximumBytes: 128 << 10)
    }

    static func request(namespace: String, roots: String) -> ObjectRequest {
        let patch: JSONValue = [
            "data": .object([JSONMember(TrustMaterial.bundleFile, .string(roots))])
        ]
        return .patch(
            ObjectPath(.configMaps, namespace: namespace, name: name), .merge, body: patch.bytes)
    }

    /// Brings the ConfigMap up to date if the roots have changed; tried again with the next call.
    func publish() async {
        guard Instant.bootNow >= nextAttempt, let roots = try? file.read(), roots != published
        else { return }
        do {
            _ = try await kubernetes.answer(
                to: Self.request(namespace: namespace, roots: roots))
            published = roots
            isFailing = false
        } catch {
            if !isFailing {
                log.warning(
                    "New nodes don't learn of the cluster's roots yet",
                    metadata: ["configmap": "\(namespace)/\(Self.name)", "error": "\(error)"])
            }
            isFailing = true
            nextAttempt = .bootNow + Self.retry
        }
    }
}
