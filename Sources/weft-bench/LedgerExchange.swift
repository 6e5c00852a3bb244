// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshReplication

/// Two ends of a link in one thread, without streams and journals: what is counted is the ledger.
struct LedgerExchange {
    private static let link = ReplicationLink(rawValue: 1)

    var source: Synchroniser
    var sink: Synchroniser
    /// Bytes that the source sent.
    private(set) var sent = 0

    init(from source: Synchroniser, to sink: Synchroniser) {
        self.source = source
        self.sink = sink
    }

    /// Connects the two and lets them talk until neither has anything to say.
    mutating func run(_ changed: (LedgerUpdate) -> Void = { _ in }) {
        var effects: [ReplicationEffect] = []
        source.linkUp(Self.link, into: &effects)
        var toSink = messages(effects)
        effects = []
        sink.linkUp(Self.link, into: &effects)
        var toSource = messages(effects)
        while !toSink.isEmpty || !toSource.isEmpty {
            effects = []
            for message in toSource {
                source.receive(message, from: Self.link, at: .zero, into: &effects)
            }
            toSink += messages(effects)
            effects = []
            for message in toSink {
                sent += message.count
                sink.receive(message, from: Self.link, at: .zero, into: &effects)
            }
            toSink = []
            toSource = messages(effects)
            for case .changed(let update) in effects { changed(update) }
        }
    }

    private func messages(_ effects: [ReplicationEffect]) -> [[UInt8]] {
        effects.compactMap { if case .send(let bytes, _) = $0 { bytes } else { nil } }
    }
}

extension Synchroniser {
    /// Becomes the publisher of an owner and commits endpoints, 50,000 at once.
    mutating func publish(
        endpoints count: Int, of owner: ClusterID, by key: P256.Signing.PrivateKey,
        window: LogWindowLimit = .standard
    ) throws {
        var effects: [ReplicationEffect] = []
        add(
            owner: owner, authority: LedgerAuthority([key.publicKey]), window: window,
            into: &effects)
        let ledgerKey = Curve25519.Signing.PrivateKey()
        let delegation = Delegation(
            owner: owner, epoch: 1, key: ledgerKey.publicKey, notAfter: .max)
        open(
            Ledger(
                try delegation.signed { Array(try key.signature(for: $0).rawRepresentation) },
                key: ledgerKey))
        for start in stride(from: 0, to: count, by: 50_000) {
            effects = []
            try publish(
                LedgerRecords.endpoints(start..<min(start + 50_000, count), of: owner),
                into: &effects)
        }
    }
}
