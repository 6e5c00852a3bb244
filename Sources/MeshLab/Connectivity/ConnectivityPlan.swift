// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Which checks there are between endpoints that are attached.
struct ConnectivityPlan {
    /// Of other clusters, each client asks those of the next ones in the lab's order.
    static let peersPerClusterMax = 3
    /// Of a TCP answer that takes many full segments.
    static let bulkBytes = 300_000
    /// Of a datagram in several fragments.
    static let fragmentedBytes = 4000
    /// Ethernet's payload without VXLAN over IPv4; the endpoint's link says better.
    static let defaultMTU: UInt32 = 1450

    let clusters: [String]
    let endpoints: [ConnectivityEndpoint]
    /// Of an endpoint's link, bytes.
    let mtu: UInt32

    private func endpoint(
        _ role: ConnectivityEndpoint.Role, of cluster: String
    ) -> ConnectivityEndpoint? {
        endpoints.first { $0.role == role && $0.cluster == cluster }
    }

    /// Clusters that a cluster's clients ask, itself first.
    private func asked(by cluster: String) -> [String] {
        guard let index = clusters.firstIndex(of: cluster) else { return [] }
        return Array((clusters[index...] + clusters[..<index]).prefix(1 + Self.peersPerClusterMax))
    }

    /// Every pair of a client and a server, by the servers' addresses.
    var direct: [ConnectivityCheck] {
        clusters.flatMap { cluster -> [ConnectivityCheck] in
            guard let client = endpoint(.client, of: cluster) else { return [] }
            return asked(by: cluster).flatMap { other in
                [1, 2].compactMap { endpoint(.server($0), of: other) }
                    .flatMap { direct(client, $0) }
            }
        }
    }

    func direct(
        _ client: ConnectivityEndpoint, _ server: ConnectivityEndpoint
    ) -> [ConnectivityCheck] {
        let place =
            client.cluster != server.cluster
            ? "another cluster" : client.node == server.node ? "same node" : "another node"
        let group = "\(client.path) -> \(server.path) (\(place))"
        return families(server.addresses).flatMap { family, host, headerBytes in
            let tcp = "http://\(host):\(ConnectivityEndpoint.port)"
            let udp = "udp://\(host):\(ConnectivityEndpoint.port)"
            // Who answers comes in front of what was asked: the answer is what fits.
            let fitting = Int(mtu) - headerBytes - "\(server.path)\n".utf8.count
            return [
                ("TCP over \(family)", tcp, 3),
                (
                    "TCP, \(Self.bulkBytes / 1000) kB over \(family)",
                    "\(tcp)/bytes/\(Self.bulkBytes)", 1
                ),
                ("UDP over \(family)", udp, 3),
                ("UDP, a full packet over \(family)", "\(udp)/bytes/\(fitting)", 3),
                ("UDP, fragments over \(family)", "\(udp)/bytes/\(Self.fragmentedBytes)", 3),
            ].map { name, url, count in
                ConnectivityCheck(
                    group: group, name: name, client: client, server: server, url: url,
                    count: count, expectation: .answer(from: server.path))
            }
        }
    }

    /// The service that all clusters answer.
    ///
    /// - Parameters:
    ///   - addresses: of the service, by cluster.
    ///   - expected: the clusters that have servers.
    func shared(_ addresses: [String: [String]], expected: Set<String>) -> [ConnectivityCheck] {
        // With weights as far apart as capacities allow, 0.1 and 1, nobody is left out by chance.
        let count = 150 * expected.count
        return clusters.flatMap { cluster -> [ConnectivityCheck] in
            guard let client = endpoint(.client, of: cluster) else { return [] }
            return families(addresses[cluster] ?? []).flatMap { family, host, _ in
                [("TCP", "http://\(host)/"), ("UDP", "udp://\(host):7")].map { transport, url in
                    ConnectivityCheck(
                        group: "\(client.path) -> a service of all clusters",
                        name: "\(transport) over \(family)", client: client, server: nil, url: url,
                        count: count, expectation: .answers(from: expected))
                }
            }
        }
    }

    /// What the policy lets through, and what it doesn't.
    var policy: [ConnectivityCheck] {
        clusters.flatMap { cluster in
            [ConnectivityEndpoint.Role.client, .stranger].compactMap { endpoint($0, of: cluster) }
                .flatMap { client in
                    asked(by: cluster).compactMap { endpoint(.guarded, of: $0) }
                        .flatMap { policy(client, $0) }
                }
        }
    }

    private func policy(
        _ client: ConnectivityEndpoint, _ server: ConnectivityEndpoint
    ) -> [ConnectivityCheck] {
        let isDenied = client.role == .stranger
        return families(server.addresses).flatMap { family, host, _ in
            [("TCP", "http"), ("UDP", "udp")].map { transport, scheme in
                ConnectivityCheck(
                    group: "\(client.path) -> \(server.path) (\(isDenied ? "denied" : "allowed"))",
                    name: "\(transport) over \(family)", client: client, server: server,
                    url: "\(scheme)://\(host):\(ConnectivityEndpoint.port)",
                    count: isDenied ? 1 : 3,
                    expectation: isDenied ? .denial : .answer(from: server.path))
            }
        }
    }

    /// Family, address as a URL has it, bytes of the headers of IP and UDP.
    private func families(_ addresses: [String]) -> [(String, String, Int)] {
        addresses.map { $0.contains(":") ? ("IPv6", "[\($0)]", 48) : ("IPv4", $0, 28) }
    }
}
