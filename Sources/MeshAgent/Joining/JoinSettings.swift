// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshTrust

/// How a node of Kubernetes comes to its first certificate without an operator, and whose tokens the
/// authority takes for that.
struct JoinSettings: Hashable, Sendable {
    /// A node's side.
    struct Node: Hashable, Sendable {
        /// Of a projected service account's token for ``ServiceAccountAttestor/audience``.
        let tokenFile: String
        /// PEM: the cluster's roots, which the authority has to prove.
        let bundleFile: String
        /// Where the authority may be.
        let addresses: [ClusterAddress]
        /// Whose EndpointSlices name more of those.
        let service: ObjectName?
    }

    static let addressesMaximum = 16

    let node: Node?
    /// Whose tokens the home takes; nil: nobody's.
    let serviceAccount: ServiceAccountName?
}

struct RawJoinSettings: Decodable {
    let token: String?
    let bundle: String?
    let addresses: [String]?
    let service: String?
    let serviceAccount: String?
}

extension JoinSettings {
    init(
        _ raw: RawJoinSettings, hasKubernetes: Bool, file: String
    ) throws(ConfigurationError) {
        func fail(_ message: String) -> ConfigurationError { ConfigurationError(file, message) }
        func path(_ path: String?, _ key: String) throws(ConfigurationError) -> String? {
            guard let path else { return nil }
            guard path.hasPrefix("/") else {
                throw fail("join.\(key): '\(path)' must begin with /")
            }
            return path
        }
        let (token, bundle) = (try path(raw.token, "token"), try path(raw.bundle, "bundle"))
        var addresses: [ClusterAddress] = []
        for text in raw.addresses ?? [] {
            guard let address = ClusterAddress(text) else {
                throw fail("join.addresses: '\(text)' is not address:port")
            }
            addresses.append(address)
        }
        guard addresses.count <= Self.addressesMaximum else {
            throw fail("join.addresses: at most \(Self.addressesMaximum)")
        }
        var service: ObjectName?
        if let text = raw.service {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ isSubdomain(String($0)) }) else {
                throw fail("join.service: '\(text)' is not namespace/name")
            }
            guard hasKubernetes else { throw fail("kubernetes is missing; join.service needs it") }
            service = ObjectName(namespace: String(parts[0]), name: String(parts[1]))
        }
        switch (token, bundle) {
        case (let token?, let bundle?):
            guard service != nil || !addresses.isEmpty else {
                throw fail("join: say where the authority is, by service or addresses")
            }
            node = Node(
                tokenFile: token, bundleFile: bundle, addresses: addresses, service: service)
        case (nil, nil): node = nil
        default: throw fail("join: token and bundle belong together")
        }
        guard let text = raw.serviceAccount else {
            serviceAccount = nil
            return
        }
        guard let account = ServiceAccountName(text) else {
            throw fail("join.serviceAccount: '\(text)' is not namespace:name")
        }
        guard hasKubernetes else {
            throw fail("kubernetes is missing; join.serviceAccount needs it")
        }
        serviceAccount = account
    }
}
