// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel

@testable import MeshAgent

func cluster(_ number: UInt16) -> ClusterID { ClusterID(rawValue: number)! }

func identity(_ local: UInt32, in number: UInt16 = 1) -> Identity {
    Identity(cluster: cluster(number), local: local)!
}

func prefixes(_ texts: String...) -> [Prefix] { texts.map { Prefix($0)! } }

let own = NodeID(cluster: cluster(1), name: "a")!

/// An endpoint `default/NAME`, as a node reports it: labels in place of an identity.
func endpoint(
    _ name: String, on node: String, _ addresses: String..., labels: Labels = ["app": "echo"],
    identity: Identity = Identity(rawValue: 0)
) -> EndpointRecord {
    EndpointRecord(
        object: ObjectName(namespace: "default", name: name), node: node,
        addresses: addresses.map { Address($0)! }, identity: identity, labels: labels)
}

/// The same endpoint as the ledger holds it: a number in place of the labels.
func published(
    _ name: String, on node: String, _ addresses: String..., identity: Identity
) -> EndpointRecord {
    EndpointRecord(
        object: ObjectName(namespace: "default", name: name), node: node,
        addresses: addresses.map { Address($0)! }, identity: identity, labels: [:])
}

func service(_ name: String, ip: String = "10.96.0.1") -> ServiceRecord {
    ServiceRecord(
        object: ObjectName(namespace: "default", name: name), addresses: [Address(ip)!],
        ports: [ServicePort(name: "", transport: .tcp, port: 80)], isGlobal: true, isShared: true,
        affinity: .none, sessionAffinitySeconds: 0)
}

func slice(_ name: String, of service: String, _ addresses: String...) -> SliceRecord {
    SliceRecord(
        object: ObjectName(namespace: "default", name: name), service: service,
        ports: [ServicePort(name: "", transport: .tcp, port: 8080)],
        endpoints: addresses.map {
            SliceEndpoint(
                addresses: [Address($0)!], isReady: true, isServing: true, isTerminating: false,
                node: "a")
        })
}

func node(
    _ name: String, outer: String = "192.0.2.1", _ podPrefixes: String..., isRelay: Bool = true
) -> NodeRecord {
    NodeRecord(
        name: name, outerAddresses: [Address(outer)!], podPrefixes: podPrefixes.map { Prefix($0)! },
        zone: "", isRelay: isRelay)
}

/// What a node says, by key.
func said(_ records: (any LedgerRecord)...) -> [RecordKey: [UInt8]] {
    Dictionary(uniqueKeysWithValues: records.map { ($0.key, $0.encoded) })
}

/// A folder of its own, gone when the test is.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/weft-agent-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        // A folder left behind fails no test.
        _ = try? FileManager.default.removeItem(atPath: path)
    }

    /// - Returns: the file's path.
    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(filePath: file))
        return file
    }
}
