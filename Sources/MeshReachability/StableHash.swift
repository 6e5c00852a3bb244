// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// ``FNV1a`` of names and numbers, finished with MurmurHash3's mixer, for FNV alone leaves the high bits
/// of similar names alike.
struct StableHash: Sendable {
    private var state = FNV1a()

    mutating func combine(_ text: String) {
        for byte in text.utf8 { state.combine(byte) }
        state.combine(0)  // "ab","c" is not "a","bc"
    }

    mutating func combine(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            state.combine(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    var value: UInt64 {
        var mixed = state.value
        mixed = (mixed ^ mixed >> 33) &* 0xff51_afd7_ed55_8ccd
        mixed = (mixed ^ mixed >> 33) &* 0xc4ce_b9fe_1a85_ec53
        return mixed ^ mixed >> 33
    }
}
