// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

extension CapacityStatus {
    /// Why a weight isn't full; nil if it is, as far as capacity goes.
    var sentence: String? {
        guard weightShare < 1 else { return nil }
        func percent(_ share: Double) -> Int { Int((share * 100).rounded()) }
        return "It has \(percent(Double(spare) / Double(capacity))) % of its capacity to spare "
            + "(\(spare) of \(capacity)): \(percent(weightShare)) % of the weight it could have."
    }
}
