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
    if case .account(let account)? = message { try checkTexts(of: account) }
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

/// They are printed as they are.
private func checkTexts(of account: FlowAccount) throws {
    let texts =
        [account.refusal, account.lag] + account.parties.map(\.problem)
        + account.quarantines.map(\.reason) + account.refusals.map(\.policy)
        + account.judgements.flatMap { [$0.egress, $0.ingress] }.compactMap { $0?.reason }
    for text in texts {
        try demand(
            FlowAccount.text(text) == text, "\(text.debugDescription) isn't fit to be printed")
    }
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
    let near = AccountAsk.Target(address: Address(ipv4: 0x0a01_0203), port: 40_000)
    let far = AccountAsk.Target(address: Address(ipv4: 0x0a01_0303), port: 80)
    let word = FlowAccount.Word(verdict: .suspect, weight: 0, sinceMilliseconds: 7)
    var account = FlowAccount(
        id: 1, endpointMTU: 1450, parties: [.init(address: far.address, problem: "no room")],
        clusters: [.init(cluster: cluster, word: word)], nodes: [.init(node: relay, word: word)],
        quarantines: [.init(backend: far, sinceMilliseconds: 1, reason: "no answer")],
        judgements: [
            .init(
                target: far, egress: nil,
                ingress: .init(allows: false, isAudited: false, reason: "denied"))
        ], connectionCount: 1)
    account.connections = [
        .init(
            state: .opening, opener: near, replier: far, ageMilliseconds: 2, idleMilliseconds: 1,
            openerPackets: 1, replierPackets: 0)
    ]
    account.refusals = [
        .init(
            kind: .denied, agoMilliseconds: 1, transport: 6, source: near, sourceIdentity: 7,
            destination: far, destinationIdentity: 8, frontend: nil, reason: 1, policy: "a rule")
    ]
    let messages: [Message] = [
        .replication([1, 8, 0, 0, 0, 0, 0, 0, 0, 1]), .report(report),
        .deadNodes(.init(relay: relay, names: ["node-2", "node-3"])),
        .drain(.init(isDraining: true, generation: 1)), .publisher(Position(epoch: 7, revision: 8)),
        .paths(
            RelayReport(
                relay: "node-1", sequence: 1, instance: 2, isAbstaining: true, paths: [])),
        .flowsAsk(
            FlowAsk(id: 1, life: 2, position: 3, last: 10, bytes: 4096, filter: "port=80")),
        .flowsAnswer(
            FlowAnswer(
                id: 1, life: 2, position: 3, lost: 0, kernelLost: 0, flows: [[0x7b, 0x7d]])),
        .accountAsk(
            AccountAsk(
                id: 1, source: .addresses([near.address]), transport: 6, frontend: far,
                targets: [far])), .account(account), .account(FlowAccount(id: 1, refusal: "no")),
    ]
    return messages.map(\.encoded)
}
