// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The tokens that a cluster has made, as its authority keeps them: without a secret, in a file that
/// only it can read.
///
/// A token is used once, in two steps. Whoever first proves to hold it has it *reserved* under the own
/// key, durably, before anything else changes; when the join is complete it is *used*. In both states
/// that key, and no other, may ask again: a join that was interrupted on either side is repeated with
/// the same token.
public struct TokenBook: Hashable, Sendable, Codable {
    /// As JSON that many fit in a file of secrets.
    public static let capacity = 256
    public static let lifetimeSeconds: UInt64 = 3_600
    public static let lifetimeMaximumSeconds: UInt64 = 24 * 3_600
    /// Expired tokens are remembered so long: *expired* says more than *unknown*.
    public static let memorySeconds: UInt64 = 24 * 3_600

    public enum State: Hashable, Sendable, Codable {
        case open
        /// By the key of that joiner.
        case reserved(KeyPin)
        case used(KeyPin)

        var holder: KeyPin? {
            switch self {
            case .open: nil
            case .reserved(let key), .used(let key): key
            }
        }
    }

    public struct Entry: Hashable, Sendable, Codable {
        public let id: TokenID
        public let subject: TokenSubject
        /// Seconds since 1970.
        public let issuedAt: UInt64
        public let expiresAt: UInt64
        public internal(set) var state: State
        /// Ed25519 public key, derived from secret and ID: neither opens a token.
        let verifier: [UInt8]
    }

    /// Why no token was made.
    public enum Fault: Error, Hashable, Sendable, CustomStringConvertible {
        case full
        case lifetime(UInt64)
        case pins(Int)
        case unusable(TrustError)

        public var description: String {
            switch self {
            case .full:
                "\(TokenBook.capacity) tokens are open: wait until some have expired, or revoke some"
            case .lifetime(let seconds):
                "a token can't be valid for \(seconds) s, only for 1 to \(TokenBook.lifetimeMaximumSeconds)"
            case .pins(let count):
                "a token names 1 to \(JoinLimit.roots) roots, not \(count)"
            case .unusable(let error): "\(error)"
            }
        }
    }

    /// In the order of their IDs.
    public private(set) var entries: [Entry] = []

    public init() {}

    /// Makes a token. Save the book before the token is shown.
    ///
    /// - Parameters:
    ///   - issuer: the own trust domain.
    ///   - pins: of the own roots.
    ///   - now: seconds since 1970.
    ///   - generator: the system's, outside of tests.
    public mutating func issue(
        for subject: TokenSubject, issuer: TrustDomain, pins: [KeyPin],
        lifetimeSeconds: UInt64 = lifetimeSeconds, now: UInt64,
        using generator: inout some RandomNumberGenerator
    ) throws(Fault) -> JoinToken {
        sweep(now: now)
        guard entries.count < Self.capacity else { throw .full }
        guard (1...Self.lifetimeMaximumSeconds).contains(lifetimeSeconds)
        else { throw .lifetime(lifetimeSeconds) }
        guard (1...JoinLimit.roots).contains(pins.count) else { throw .pins(pins.count) }
        var id: TokenID
        repeat {
            id = TokenID(rawValue: generator.next())
        } while entry(id) != nil
        let secret = JoinSecret(using: &generator)
        let expiresAt = now + lifetimeSeconds
        let entry: Entry
        do throws(TrustError) {
            entry = Entry(
                id: id, subject: subject, issuedAt: now, expiresAt: expiresAt, state: .open,
                verifier: try secret.verifier(salt: id))
        } catch {
            throw .unusable(error)
        }
        entries.append(entry)
        entries.sort { $0.id < $1.id }
        return JoinToken(
            id: id, subject: subject, issuer: issuer, pins: pins, expiresAt: expiresAt,
            secret: secret)
    }

    /// With the system's random numbers.
    public mutating func issue(
        for subject: TokenSubject, issuer: TrustDomain, pins: [KeyPin],
        lifetimeSeconds: UInt64 = lifetimeSeconds, now: UInt64
    ) throws(Fault) -> JoinToken {
        var generator = SystemRandomNumberGenerator()
        return try issue(
            for: subject, issuer: issuer, pins: pins, lifetimeSeconds: lifetimeSeconds, now: now,
            using: &generator)
    }

    public func entry(_ id: TokenID) -> Entry? { entries.first { $0.id == id } }

    /// - Returns: false if there is no such token.
    public mutating func revoke(_ id: TokenID) -> Bool {
        let count = entries.count
        entries.removeAll { $0.id == id }
        return entries.count < count
    }

    /// Drops what expired ``memorySeconds`` ago.
    public mutating func sweep(now: UInt64) {
        entries.removeAll { now > $0.expiresAt && now - $0.expiresAt > Self.memorySeconds }
    }

    /// Whether who has proven to hold the token may go on. Only who proved it learns more than that
    /// the token exists.
    ///
    /// - Parameter keys: those that the joiner proved as its own.
    /// - Returns: the one that holds the token, or may.
    func check(
        _ id: TokenID, proof: [UInt8], of message: [UInt8], subject: TokenSubject, keys: [KeyPin],
        now: UInt64
    ) throws(JoinRefusal) -> KeyPin {
        guard let entry = entry(id) else { throw .unknownToken(id) }
        guard JoinSecret.isProof(proof, of: message, verifier: entry.verifier)
        else { throw .notProven }
        guard entry.subject == subject
        else { throw .tokenForOther(entry.subject, presented: subject) }
        guard let holder = entry.state.holder ?? keys.first
        else { throw .untrusted("it isn't signed by its own root") }
        guard keys.contains(holder) else { throw .usedToken(id) }
        guard now <= entry.expiresAt
        else { throw .expiredToken(expiresAt: entry.expiresAt, now: now) }
        return holder
    }

    /// - Returns: whether something changed and the book must be saved.
    mutating func reserve(_ id: TokenID, for holder: KeyPin) -> Bool {
        guard let index = entries.firstIndex(where: { $0.id == id && $0.state == .open })
        else { return false }
        entries[index].state = .reserved(holder)
        return true
    }

    /// - Returns: whether something changed and the book must be saved.
    mutating func markUsed(_ id: TokenID, by holder: KeyPin) -> Bool {
        guard
            let index = entries.firstIndex(where: {
                $0.id == id && $0.state == .reserved(holder)
            })
        else { return false }
        entries[index].state = .used(holder)
        return true
    }
}
