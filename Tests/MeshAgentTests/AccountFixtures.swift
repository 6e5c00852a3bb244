// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshAgent

private func target(_ address: String, _ port: UInt16) -> AccountAsk.Target {
    AccountAsk.Target(address: Address(address)!, port: port)
}

extension AccountAsk {
    /// One endpoint of two addresses asks for a service with a backend on node b.
    static let fixture = AccountAsk(
        id: 7, source: .addresses([Address("10.1.0.5")!, Address("fd00::5")!]), transport: 6,
        frontend: target("10.96.0.1", 80), targets: [target("10.1.1.8", 8080)])
}

extension FlowAccount {
    /// Something of everything, as an answer to ``AccountAsk/fixture``.
    static let fixture: FlowAccount = {
        let word = Word(verdict: .suspect, weight: 0, sinceMilliseconds: 5_000)
        let backend = target("10.1.1.8", 8080)
        var account = FlowAccount(id: 7, endpointMTU: 1450)
        account.parties = [Party(address: backend.address, problem: "no room")]
        account.lag = "no room for 3 more backends"
        account.clusters = [ClusterWord(cluster: cluster(2), word: word)]
        account.nodes = [NodeWord(node: NodeID(cluster: cluster(1), name: "b")!, word: word)]
        account.quarantines = [
            Quarantine(backend: backend, sinceMilliseconds: 30_000, reason: "3 failures")
        ]
        account.judgements = [
            Judgement(
                target: backend, egress: nil,
                ingress: Decision(allows: false, isAudited: true, reason: "denied: a rule"))
        ]
        account.connectionCount = 9
        account.connections = [
            Connection(
                state: .opening, opener: target("10.1.0.5", 40_000), replier: backend,
                ageMilliseconds: 900, idleMilliseconds: 100, openerPackets: 3, replierPackets: 0)
        ]
        account.refusals = [
            Refusal(
                kind: .denied, agoMilliseconds: 4_000, transport: 6,
                source: target("10.1.0.5", 40_001), sourceIdentity: 1 << 20 | 256,
                destination: backend, destinationIdentity: 1 << 20 | 257,
                frontend: target("10.96.0.1", 80), reason: 1, policy: "ingress: a rule")
        ]
        return account
    }()
}
