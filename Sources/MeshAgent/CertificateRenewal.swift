// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTrust

/// When a node asks for its next certificate, and what it has asked with. A value without clock, so
/// that a day passes in a test.
struct CertificateRenewal {
    /// Shares of its life between which it is due, by the draw: a cluster's nodes don't ask all at
    /// once. Of a day the last one leaves 8.4 hours: an authority that is away for eight expires
    /// nobody, wherever between two attempts it comes back.
    static let shares = 0.55...0.65
    static let retryMinimum: TimeInterval = 1
    static let retryMaximum: TimeInterval = 300

    /// Of the key that was asked for and the request, until it is answered or asked for anew.
    private(set) var pending: NodeKey?
    private(set) var due: Date
    private var nextAttempt: Date
    private var retry = retryMinimum
    private(set) var attempts = 0

    /// - Parameter draw: 0 to 1, at random.
    init(of credentials: NodeCredentials, draw: Double) {
        self.init(from: credentials.notBefore, to: credentials.notAfter, draw: draw)
    }

    init(from start: Date, to end: Date, draw: Double) {
        let life = end.timeIntervalSince(start)
        let shares = Self.shares
        due = start + life * (shares.lowerBound + draw * (shares.upperBound - shares.lowerBound))
        nextAttempt = due
    }

    /// The certificate must be replaced although its time hasn't come.
    mutating func hasten(now: Date) {
        guard due > now else { return }
        due = now
        nextAttempt = now
    }

    /// What to ask the authority now; nil when it isn't time. The same key is asked for again until
    /// there is an answer.
    mutating func attempt(now: Date) throws(TrustError) -> [UInt8]? {
        // A clock that was set back must not wait for the time it had.
        guard now >= nextAttempt || nextAttempt.timeIntervalSince(now) > Self.retryMaximum,
            now >= due
        else { return nil }
        attempts += 1
        nextAttempt = now + retry
        retry = min(retry * 2, Self.retryMaximum)
        let key = pending ?? NodeKey()
        pending = key
        return try key.request()
    }
}
