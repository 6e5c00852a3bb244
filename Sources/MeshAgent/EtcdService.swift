// SPDX-License-Identifier: Apache-2.0

import MeshEtcd
import ServiceLifecycle

/// Keeps the connections to etcd for as long as anything else runs.
struct EtcdService: Service, CustomStringConvertible {
    let client: EtcdClient
    let description = "EtcdService"

    func run() async throws {
        await cancelWhenGracefulShutdown { await client.run() }
    }
}
