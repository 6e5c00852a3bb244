// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import MeshKubernetes
import MeshLease
import MeshModel
import Testing

@Suite("The lease over real sockets")
struct KubernetesLeaseSocketTests {
    @Test("a record is replaced only by whoever knows its version, and a deleted one is nobody's")
    func swapping() async throws {
        try await APIServerDouble.serve { server, configuration in
            let client = try KubernetesClient(configuration)
            defer { client.close() }
            let store = KubernetesLeaseStore(client: client, namespace: "kube-system")
            #expect(try await store.read() == nil)
            var record = LeaseRecord(
                holder: LeaseHolder(node: "a", instance: 1), token: 1, epoch: 0, identities: 0)
            guard case .swapped(let version) = try await store.swap(record, replacing: nil) else {
                throw Late()
            }
            let state = LeaseState(record: record, version: version)
            #expect(try await store.read() == state)
            record.holder = LeaseHolder(node: "b", instance: 2)
            #expect(try await store.swap(record, replacing: nil) == .conflict(state))
            #expect(
                try await store.swap(record, replacing: LeaseVersion(rawValue: "1"))
                    == .conflict(state))
            guard case .swapped(let next) = try await store.swap(record, replacing: version)
            else { throw Late() }
            #expect(next != version)
            server.change {
                $0.remove(.leases, namespace: "kube-system", name: "weft-publisher")
            }
            #expect(try await store.swap(record, replacing: next) == .conflict(nil))
            server.inject(.fail)
            await #expect { try await store.read() } throws: {
                ($0 as? LeaseStoreError)?.code == .unavailable
            }
            server.change {
                $0.admit(DoubleUser("nobody"), token: "x")
            }
            await #expect { try await store.read() } throws: {
                ($0 as? LeaseStoreError)?.code == .refused
            }
        }
    }
}
