// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Stops taking datagrams from where forgeries come, before any cryptography. Memory is bounded
/// whatever addresses are made up: a source has an entry of its own only once it sent something
/// authentic; all others share 64.
///
/// Whoever can send under a peer's very address and port can spend that peer's budget too: it is
/// larger than what is worth sparing, and indirect probes go round it.
struct ForgeryLimiter {
    /// Forgeries of one source that are looked at: 256 at once, 256 a second.
    static let interval = Duration.microseconds(3_906)
    static let burst = Duration.seconds(1)
    static let strangersMaximum = 64
    static let provenMaximum = 8_192

    /// The time up to which each budget is spent.
    private var strangers = [Instant](repeating: .zero, count: strangersMaximum)
    private var proven: [TransportAddress: Instant] = [:]

    func admits(_ source: TransportAddress, at now: Instant) -> Bool {
        (proven[source] ?? strangers[bucket(of: source)]) - now < Self.burst
    }

    mutating func punish(_ source: TransportAddress, at now: Instant) {
        if let until = proven[source] {
            proven[source] = max(until, now) + Self.interval
        } else {
            let bucket = bucket(of: source)
            strangers[bucket] = max(strangers[bucket], now) + Self.interval
        }
    }

    /// Something authentic came from there.
    mutating func prove(_ source: TransportAddress) {
        guard proven[source] == nil else { return }
        // Who is still there proves itself again with its next datagram.
        if proven.count >= Self.provenMaximum { proven.removeAll() }
        proven[source] = .zero
    }

    /// Hashes differ in every process, so that nobody can choose addresses for a bucket.
    private func bucket(of source: TransportAddress) -> Int {
        Int(UInt(bitPattern: source.hashValue) % UInt(Self.strangersMaximum))
    }
}
