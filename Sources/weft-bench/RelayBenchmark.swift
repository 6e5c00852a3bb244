// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshLab
import MeshModel
import MeshReplication

/// One relay that imports a thousand clusters from another: memory, processor time and time to
/// converge. The two share a thread; streams and journal are left out, what is counted is the ledger.
struct RelayBenchmark {
    let quick: Bool
    private static let link = ReplicationLink(rawValue: 1)
    private static let endpoints = 1000
    private let key = P256.Signing.PrivateKey()

    init(quick: Bool) { self.quick = quick }

    func run() throws {
        let count: UInt16 = quick ? 100 : 1000
        var source = Synchroniser()
        try fill(&source, owners: count)
        var sink = Synchroniser()
        let before = try anonymousMemory()
        let processor = processorSeconds()
        let begin = monotonicNow()
        let sent = try converge(&source, &sink, owners: count)
        let seconds = milliseconds(from: begin, to: monotonicNow()) / 1000
        let endpoints = Double(count) * Double(Self.endpoints)
        let name = "ledger.relay.\(count)x\(Self.endpoints)"
        Figure("\(name).converged", seconds, "s").report()
        Figure("\(name).processor", processorSeconds() - processor, "s").report()
        Figure("\(name).memory", (try anonymousMemory() - before) / endpoints, "bytes/endpoint")
            .report()
        Figure("\(name).bytes", Double(sent) / endpoints, "bytes/endpoint").report()
        withExtendedLifetime((source, sink)) {}
    }

    private func fill(_ source: inout Synchroniser, owners: UInt16) throws {
        var effects: [ReplicationEffect] = []
        for number in 1...owners {
            guard let owner = ClusterID(rawValue: number) else { continue }
            source.add(
                owner: owner, authority: LedgerAuthority([key.publicKey]),
                window: .shared(among: Int(owners)), into: &effects)
            let ledgerKey = Curve25519.Signing.PrivateKey()
            let delegation = Delegation(
                owner: owner, epoch: 1, key: ledgerKey.publicKey, notAfter: .max)
            source.open(
                Ledger(
                    try delegation.signed {
                        Array(try key.signature(for: $0).rawRepresentation)
                    }, key: ledgerKey))
            try source.publish(
                LedgerRecords.endpoints(0..<Self.endpoints, of: owner), into: &effects)
            effects = []
        }
    }

    /// - Returns: bytes that the source sent.
    private func converge(
        _ source: inout Synchroniser, _ sink: inout Synchroniser, owners: UInt16
    ) throws -> Int {
        var effects: [ReplicationEffect] = []
        for number in 1...owners {
            guard let owner = ClusterID(rawValue: number) else { continue }
            sink.add(
                owner: owner, authority: LedgerAuthority([key.publicKey]),
                window: .shared(among: Int(owners)), into: &effects)
        }
        var toSink: [[UInt8]] = []
        var toSource: [[UInt8]] = []
        var sent = 0
        effects = []
        source.linkUp(Self.link, into: &effects)
        toSink += messages(effects)
        effects = []
        sink.linkUp(Self.link, into: &effects)
        toSource += messages(effects)
        while !toSink.isEmpty || !toSource.isEmpty {
            effects = []
            for message in toSource {
                source.receive(message, from: Self.link, at: .zero, into: &effects)
            }
            toSource = []
            toSink += messages(effects)
            effects = []
            for message in toSink {
                sent += message.count
                sink.receive(message, from: Self.link, at: .zero, into: &effects)
            }
            toSink = []
            toSource += messages(effects)
        }
        for number in 1...owners {
            guard let owner = ClusterID(rawValue: number),
                sink.replica(of: owner)?.count == Self.endpoints
            else { throw LabError(.failed, "cluster \(number) didn't arrive") }
        }
        return sent
    }

    private func messages(_ effects: [ReplicationEffect]) -> [[UInt8]] {
        effects.compactMap { if case .send(let bytes, _) = $0 { bytes } else { nil } }
    }
}
