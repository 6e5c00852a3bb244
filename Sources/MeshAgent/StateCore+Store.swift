// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

// MARK: The shared store

/// With a shared store the cluster's own nodes read its ledger there; everything else is as ever.
extension StateCore {
    /// One batch came from the store.
    ///
    /// - Returns: false if batches are missing before it: read everything.
    mutating func absorb(_ message: [UInt8], into effects: inout [StateEffect]) -> Bool {
        hasReadStore = true
        var isNext = true
        perform(&effects) { core, replication in
            do throws(RejectionReason) {
                isNext = try core.synchroniser.absorb(message, into: &replication)
                return nil
            } catch {
                return .rejected(error, from: nil)
            }
        }
        return isNext
    }

    /// Everything that the store holds.
    ///
    /// - Parameter proof: of the last batch; empty before the first.
    mutating func adopt(
        _ proof: [UInt8], entries: [LedgerEntry], into effects: inout [StateEffect]
    ) {
        hasReadStore = true
        guard !proof.isEmpty else { return }
        perform(&effects) { core, replication in
            do throws(RejectionReason) {
                try core.synchroniser.adopt(
                    proof, entries: entries, of: core.configuration.cluster, into: &replication)
                return nil
            } catch {
                return .rejected(error, from: nil)
            }
        }
    }

    /// The store didn't take a batch: somebody else wrote. This node reads on, and opens another
    /// epoch on top if the lease is still its own.
    mutating func storeRefused(at now: Instant, into effects: inout [StateEffect]) {
        hasReadStore = false
        askingSince = now
        close(into: &effects)
    }
}
