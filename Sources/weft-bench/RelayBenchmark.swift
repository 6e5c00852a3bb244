// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshLab
import MeshModel
import MeshReplication

/// One relay that imports a thousand clusters from another: memory, processor time and time to
/// converge. The two share a thread; streams and journal are left out, what is counted is the ledger.
struct RelayBenchmark {
    let quick: Bool
    private static let endpoints = 1000
    private let key = P256.Signing.PrivateKey()

    init(quick: Bool) { self.quick = quick }

    func run() throws {
        let owners = (1...UInt16(quick ? 100 : 1000)).compactMap { ClusterID(rawValue: $0) }
        let window = LogWindowLimit.shared(among: owners.count)
        var source = Synchroniser()
        for owner in owners {
            try source.publish(endpoints: Self.endpoints, of: owner, by: key, window: window)
        }
        let before = try anonymousMemory()
        let processor = processorSeconds()
        let begin = monotonicNow()
        var sink = Synchroniser()
        var effects: [ReplicationEffect] = []
        for owner in owners {
            sink.add(
                owner: owner, authority: LedgerAuthority([key.publicKey]), window: window,
                into: &effects)
        }
        var exchange = LedgerExchange(from: source, to: sink)
        exchange.run()
        for owner in owners where exchange.sink.replica(of: owner)?.count != Self.endpoints {
            throw LabError(.failed, "cluster \(owner) didn't arrive")
        }
        let seconds = milliseconds(from: begin, to: monotonicNow()) / 1000
        let endpoints = Double(owners.count * Self.endpoints)
        let name = "ledger.relay.\(owners.count)x\(Self.endpoints)"
        Figure("\(name).converged", seconds, "s").report()
        Figure("\(name).processor", processorSeconds() - processor, "s").report()
        Figure("\(name).memory", (try anonymousMemory() - before) / endpoints, "bytes/endpoint")
            .report()
        Figure("\(name).bytes", Double(exchange.sent) / endpoints, "bytes/endpoint").report()
        withExtendedLifetime((source, exchange)) {}
    }
}
