// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// The introducing side of one join, between its steps:
///
/// 1. ``open(_:channel:source:book:limiter:roster:clock:now:verify:)`` checks everything and reserves
///    the token. *Save the book.*
/// 2. ``admit(into:now:signers:verify:)`` makes the newcomer a member. *Save the roster, then publish
///    the admission.*
/// 3. ``complete(in:)`` marks the token used. *Save the book.*
/// 4. ``response(from:now:signers:)`` is the answer.
///
/// Killed between any two, what was saved is consistent, and the same joiner repeats from the start
/// with the same token.
public struct JoinIntroduction: Sendable {
    public let token: TokenID
    public let newcomer: SignedAnnouncement
    /// Of the newcomer's clock.
    public let clock: ClockDifference
    /// The joiner's key, under which the token is reserved.
    public let holder: KeyPin
    private let request: [UInt8]

    /// Step 1.
    ///
    /// - Parameters:
    ///   - request: as it arrived, at most ``JoinLimit/requestBytes`` bytes.
    ///   - source: where it came from.
    ///   - clock: seconds of a clock that doesn't jump, for the limiter.
    ///   - now: seconds since 1970.
    /// - Throws: ``JoinRefusal``: the book is unchanged; answer with ``refusal(_:)``.
    public static func open(
        _ request: [UInt8], channel: JoinChannel, source: Address, book: inout TokenBook,
        limiter: inout TryLimiter, roster: MeshRoster, clock: UInt64, now: UInt64,
        verify: StatementVerifier
    ) throws(JoinRefusal) -> JoinIntroduction {
        try limiter.count(from: source, at: clock)
        let request = try JoinRequest(encoded: request)
        guard case .cluster(let newcomer) = request.body
        else { throw .malformed("it asks for a node's certificate") }
        let asked = newcomer.content.description
        let keys = newcomer.provenKeys(verify)
        let holder = try request.check(
            on: channel, subject: asked.subject, keys: keys, own: roster.description,
            book: book, now: now)
        guard !newcomer.content.hasLeft else { throw .malformed("the announcement of a leave") }
        if let refusal = roster.refusal(of: newcomer, verify: verify) { throw refusal }
        _ = book.reserve(request.token, for: holder)
        return JoinIntroduction(
            token: request.token, newcomer: newcomer,
            clock: ClockDifference(own: now, other: request.clock), holder: holder,
            request: request.digest(on: channel))
    }

    /// Step 2. What the mesh looks like may have changed since step 1, so it is checked again.
    ///
    /// - Returns: what to publish; no admission if the newcomer is a member already.
    /// - Throws: ``JoinRefusal``: the roster is unchanged.
    public func admit(
        into roster: inout MeshRoster, now: UInt64, signers: [StatementSigner],
        verify: StatementVerifier
    ) throws(JoinRefusal) -> (admission: SignedAdmission?, events: [RosterEvent]) {
        try roster.admit(newcomer, now: now, signers: signers, verify: verify)
    }

    /// Step 3.
    public func complete(in book: inout TokenBook) { _ = book.markUsed(token, by: holder) }

    /// Step 4: this cluster in its own words, and everything it knows of the others.
    public func response(
        from roster: MeshRoster, now: UInt64, signers: [StatementSigner]
    ) throws(TrustError) -> [UInt8] {
        let statements = roster.statements.map(\.encoded)
        let welcome = try Signed(
            JoinWelcome(
                request: request, issuedAt: now,
                body: .cluster(
                    roster.announcement, founder: roster.founder ?? roster.name,
                    statements: sha256(JoinResponse.encode(statements)))),
            by: signers)
        return JoinResponse(.welcome(welcome, statements: statements)).encoded
    }

    /// The answer that tells a refusal.
    public static func refusal(_ refusal: JoinRefusal) -> [UInt8] {
        JoinResponse(.refused(refusal)).encoded
    }
}

extension Signed<Announcement> {
    /// Of those roots that have signed it: others may be listed by who hasn't their keys.
    fileprivate func provenKeys(_ verify: StatementVerifier) -> [KeyPin] {
        content.description.pins.filter { pin in
            do throws(JoinRefusal) {
                return isSigned(by: try content.description.bundle.pinned([pin]), verify)
            } catch {
                return false
            }
        }
    }
}
