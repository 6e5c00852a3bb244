// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport
import MeshTrust

// MARK: Nodes that show a service account's token

extension MeshService {
    /// What became of those who showed one, since the agent's start; nil where none is taken.
    var attestationOutcomes: [AttestationOutcome: UInt64]? {
        get async { await attestations?.outcomes }
    }

    func answer(
        attested request: [UInt8], presenting leaf: [UInt8], to source: Address
    ) async -> DeskAnswer {
        do throws(JoinRefusal) {
            guard let attestations, let desk else {
                throw .notAttested(
                    "this authority takes no service account's tokens: configure join.serviceAccount"
                )
            }
            let signers: [StatementSigner]
            do throws(TrustError) { signers = try desk.signers } catch { throw .failed("\(error)") }
            return await attestations.answer(
                request, presenting: leaf, to: source, bundle: desk.roster.description.bundle,
                signers: signers, clock: Instant.monotonicNow.nanoseconds / 1_000_000_000,
                now: unixSeconds())
        } catch {
            return DeskAnswer(bytes: JoinIntroduction.refusal(error), refusal: error)
        }
    }
}
