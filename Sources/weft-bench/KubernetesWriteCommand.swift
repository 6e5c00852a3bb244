// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshKubernetes
import MeshLab
import MeshModel

/// A client of an API server, in a namespace where that can be reached: changes a slice and says when.
struct KubernetesWriteCommand: AsyncParsableCommand {
    static let name = "kubernetes-write"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)
    private static let base = Address(ipv4: 0x0a01_c000)  // 10.1.192.0

    @Option var kubeconfig: String
    @Option var service: String
    @Option var slice: String
    @Option var count: Int

    /// Which of its addresses it is.
    static func number(of address: Address) -> Int? {
        address.high == base.high && address.low >= base.low ? Int(address.low - base.low) : nil
    }

    /// Prints the moment before each write, nanoseconds, a line each.
    func run() async throws {
        let client = try KubernetesClient(.kubeconfig(path: kubeconfig))
        let path = ObjectPath(.endpointSlices, namespace: "default")
        var moments = [monotonicNow()]
        _ = try await client.create(path, object(0).bytes)
        for number in 1..<count {
            // Not in step with anybody's timer.
            try await Task.sleep(for: .microseconds(Int.random(in: 20_000...60_000)))
            moments.append(monotonicNow())
            var place = path
            place.name = slice
            let patch: JSONValue = ["endpoints": object(number)["endpoints"]]
            _ = try await client.patch(place, .merge, patch.bytes)
        }
        for moment in moments { print(moment) }
        var place = path
        place.name = slice
        // The kernel has seen the last change by then.
        try await Task.sleep(for: .seconds(1))
        try await client.delete(place)
        client.close()
    }

    private func object(_ number: Int) -> JSONValue {
        [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": [
                "name": .string(slice), "namespace": "default",
                "labels": ["kubernetes.io/service-name": .string(service)],
            ],
            "addressType": "IPv4",
            "ports": [["name": "http", "protocol": "TCP", "port": 8080]],
            "endpoints": [
                [
                    "addresses": [.string("\(Self.base.advanced(by: UInt64(number)))")],
                    "conditions": ["ready": true, "serving": true, "terminating": false],
                ]
            ],
        ]
    }
}
