// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshLease

/// An API server, and what of it the agent's parts need.
struct KubernetesAccess: Sendable {
    let settings: KubernetesSettings
    private let client: KubernetesClient
    /// Where the agent runs.
    let namespace: String

    /// - Throws: ``KubernetesError``: what the settings name can't be used. The server isn't asked yet.
    init(_ settings: KubernetesSettings) throws {
        self.settings = settings
        var configuration =
            switch settings.source {
            case .inCluster(nil): try KubernetesConfiguration.inCluster()
            case .inCluster(let folder?): try KubernetesConfiguration.inCluster(folder: folder)
            case .kubeconfig(let path): try KubernetesConfiguration.kubeconfig(path: path)
            }
        if let server = settings.server { configuration.server = server }
        client = try KubernetesClient(configuration)
        namespace = configuration.namespace
    }

    var leaseStore: KubernetesLeaseStore {
        KubernetesLeaseStore(client: client, namespace: namespace)
    }

    var reflect: ObjectService.Reflect {
        { [client] selection, consumer in
            await Reflector(selection, client: client, consumer: consumer).run()
        }
    }

    var write: ExportService.Write {
        { [client] request in _ = try await client.answer(to: request) }
    }

    /// Of one machine; not asked again by itself.
    var node: OwnNode.Ask {
        { [client] name in
            try NodeManifest(json: try await client.get(ObjectPath(.nodes, name: name)))
        }
    }

    /// Sends one request, once.
    @Sendable func answer(to request: ObjectRequest) async throws(KubernetesError) -> [UInt8] {
        try await client.answer(to: request)
    }

    func close() { client.close() }
}
