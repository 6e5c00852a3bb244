// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshStore

func cluster(_ number: UInt16) -> ClusterID { ClusterID(rawValue: number)! }

func node(_ name: String, in number: UInt16 = 1) -> NodeID {
    NodeID(cluster: cluster(number), name: name)!
}

func key(_ number: Int) -> FrontendKey {
    FrontendKey(
        address: Address(ipv4: 0x0a60_0000 + UInt32(number)), port: 80, transport: .tcp)
}

/// `count` backends of a cluster, spread over its two nodes; `first` tells sets of them apart.
func backends(_ count: Int, in number: UInt16, from first: Int = 0) -> [Backend] {
    (first..<first + count).map { index in
        Backend(
            address: Address(ipv4: 0x0a00_0000 | UInt32(number) << 16 | UInt32(index)), port: 8080,
            node: node("n\(index % 2)", in: number))
    }
}

func slice(
    _ number: UInt16, _ backends: [Backend], tier: UInt8 = 0, weight: UInt8 = 1
) -> ClusterSlice {
    ClusterSlice(cluster: cluster(number), tier: tier, weight: weight, backends: backends)
}

func frontend(
    _ key: FrontendKey, _ slices: [ClusterSlice], affinity: UInt32 = 0
) -> ServiceFrontend {
    ServiceFrontend(
        key: key, service: ObjectName(namespace: "shop", name: "web"), portName: "",
        isGlobal: true, sessionAffinitySeconds: affinity, slices: slices)
}

/// A frontend with two backends in each of three clusters.
func frontend(_ number: Int) -> ServiceFrontend {
    frontend(key(number), (1...3).map { slice($0, backends(2, in: $0, from: number * 2)) })
}

extension ServiceReading {
    /// Backends as `cluster:address` in the order of the list.
    var story: [String] {
        slices.flatMap { slice in slice.backends.map { "\(slice.cluster):\($0.address)" } }
    }
}

/// One of many endpoints of cluster 2, addresses not in the order of the numbers.
func remoteEndpoint(
    _ number: Int, identity: Identity = Identity(cluster: cluster(2), local: 300)!
) -> EndpointRow {
    EndpointRow(
        address: Address(ipv4: 0x0a02_0000 | UInt32(number) &* 40_503 & 0xffff),
        record: RecordHash(rawValue: UInt32(number)), object: nil, identity: identity,
        node: node("n\(number % 100)", in: 2), local: nil)
}
