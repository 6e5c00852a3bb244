// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTrust

/// What became of somebody who showed a service account's token, as counted.
enum AttestationOutcome: String, Hashable, Sendable, CaseIterable {
    case issued
    case notAuthenticated = "not-authenticated"
    case otherAudience = "other-audience"
    case otherAccount = "other-account"
    case otherNode = "other-node"
    /// The API server didn't say.
    case unanswered
    case tooMany = "too-many"
    case malformed
    /// The authority issues nothing to this node, or nothing now.
    case notIssued = "not-issued"
}

/// Gives nodes their first certificate for a service account's token, on the home.
actor AttestationDesk {
    /// In a minute. A cluster that starts has all its nodes ask; one API server answers ten a second
    /// without noticing.
    static let triesInAll = 600

    private let attestor: ServiceAccountAttestor
    private let authority: AuthorityService
    private var limiter = TryLimiter(triesInAll: triesInAll)
    private(set) var outcomes: [AttestationOutcome: UInt64] = [:]

    init(attestor: ServiceAccountAttestor, authority: AuthorityService) {
        self.attestor = attestor
        self.authority = authority
    }

    /// - Parameters:
    ///   - leaf: the certificate in DER that this side presents.
    ///   - bundle: the own cluster's.
    ///   - signers: whoever signs for it.
    ///   - clock: seconds of a clock that doesn't jump.
    ///   - now: seconds since 1970.
    func answer(
        _ request: [UInt8], presenting leaf: [UInt8], to source: Address, bundle: TrustBundle,
        signers: [StatementSigner], clock: UInt64, now: UInt64
    ) async -> DeskAnswer {
        let attestation: NodeAttestation
        do throws(JoinRefusal) {
            attestation = try NodeAttestation.open(
                request, channel: JoinChannel(serverCertificate: leaf), source: source,
                limiter: &limiter, clock: clock, now: now)
        } catch {
            if case .tooManyTries = error { count(.tooMany) } else { count(.malformed) }
            return DeskAnswer(bytes: JoinIntroduction.refusal(error), refusal: error)
        }
        let node = attestation.node
        do throws(AttestationFault) {
            try await attestor.attest(attestation.token, as: node)
        } catch {
            count(error.outcome)
            authority.refuse(node: node, to: .stranger(source), because: "\(error)")
            let refusal = JoinRefusal.notAttested("\(error)")
            return DeskAnswer(bytes: JoinIntroduction.refusal(refusal), refusal: refusal)
        }
        do {
            let chain = try authority.certify(
                node: node, request: attestation.request, for: .stranger(source),
                because: "the token of an agent's service account")
            let answer = try attestation.response(
                chain: chain, bundle: bundle, now: now, signers: signers)
            count(.issued)
            return DeskAnswer(bytes: answer, node: node)
        } catch {
            count(.notIssued)
            let refusal: JoinRefusal =
                switch error {
                case TrustError.tooManyRequests(let seconds):
                    .tooManyTries(retryAfterSeconds: UInt32(seconds.rounded(.up)))
                // Whoever proved to be the node may know why it gets nothing.
                case TrustError.denied: .notAttested("\(error)")
                default: .failed("\(error)")
                }
            return DeskAnswer(bytes: JoinIntroduction.refusal(refusal), refusal: refusal)
        }
    }

    private func count(_ outcome: AttestationOutcome) { outcomes[outcome, default: 0] += 1 }
}
