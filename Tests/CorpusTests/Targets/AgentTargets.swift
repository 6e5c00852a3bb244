// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

@testable import MeshAgent

let agentTargets: [FuzzTarget] = [
    FuzzTarget("agent-message", seeds: messageSeeds, check: checkMessage)
]

@Sendable private func checkMessage(_ bytes: [UInt8]) throws {
    let message = try checkDecoding(of: bytes, .equal) { bytes throws(DecodingFault) in
        try Message(encoded: bytes)
    } encode: {
        $0.encoded
    }
    guard case .report(let report)? = message else { return }
    var book = ReportBook()
    let changed = book.apply(report, from: "node-1")
    let values = book.values(of: "node-1")
    try demand(
        values.keys.allSatisfy { changed.contains($0) }, "what \(report) put isn't among \(changed)"
    )
    try demand(
        values.keys.allSatisfy { $0.kind != .identity }, "a node speaks for identities: \(report)")
    try demand(
        book.isComplete(of: "node-1") == (report.opens && report.closes),
        "complete is what opens and closes: \(report)")
}

@Sendable private func messageSeeds() throws -> [[UInt8]] {
    guard let cluster = ClusterID(rawValue: 7), let relay = NodeID(cluster: cluster, name: "node-1")
    else { throw BrokenProperty("7/node-1 is a node") }
    let endpoint = EndpointRecord(
        object: ObjectName(namespace: "default", name: "echo"), node: "node-1",
        addresses: [Address(ipv4: 0x0a01_0203)], identity: Identity(rawValue: 0),
        labels: ["app": "echo"])
    let report = Message.Report(
        opens: true, closes: true,
        puts: [.init(key: endpoint.key, since: 1, value: endpoint.encoded)],
        deletes: [RecordKey(kind: .service, name: "default/echo")])
    let messages: [Message] = [
        .replication([1, 8, 0, 0, 0, 0, 0, 0, 0, 1]), .report(report),
        .deadNodes(.init(relay: relay, names: ["node-2", "node-3"])),
        .drain(.init(isDraining: true, generation: 1)), .publisher(Position(epoch: 7, revision: 8)),
        .paths(
            RelayReport(
                relay: "node-1", sequence: 1, instance: 2, isAbstaining: true, paths: [])),
    ]
    return messages.map(\.encoded)
}
