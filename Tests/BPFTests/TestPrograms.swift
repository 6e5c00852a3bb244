// SPDX-License-Identifier: Apache-2.0

import BPF

/// Instructions written by hand, so that these tests need no compiler.
enum TestProgram {
    /// `return value;`
    static func returning(_ value: UInt32) -> [UInt64] {
        [0xb7 | UInt64(value) << 32, 0x95]
    }

    /// `return r2;`, a register that was never written.
    static let readingGarbage: [UInt64] = [0x20bf, 0x95]

    /// Hands the number 42 to a ring buffer and lets the packet pass on (`TC_ACT_UNSPEC`).
    static func reporting(to ring: Int32) -> [UInt64] {
        [
            0x0000_002a_fff8_0a7a,  // *(u64 *)(r10 - 8) = 42
            0x1118 | UInt64(ring) << 32, 0,  // r1 = map
            0xa2bf, 0xffff_fff8_0000_0207,  // r2 = r10 - 8
            0x0000_0008_0000_03b7,  // r3 = 8
            0x0000_0000_0000_04b7,  // r4 = 0
            0x0000_0082_0000_0085,  // bpf_ringbuf_output(r1, r2, r3, r4)
            0xffff_ffff_0000_00b7, 0x95,  // return -1
        ]
    }

    /// Jumps to element 0 of a program array; returns 7 if there is nothing.
    static func jumping(through array: Int32) -> [UInt64] {
        [
            0x1218 | UInt64(array) << 32, 0,  // r2 = map
            0x0000_0000_0000_03b7,  // r3 = 0
            0x0000_000c_0000_0085,  // bpf_tail_call(r1, r2, r3)
            0x0000_0007_0000_00b7, 0x95,  // return 7
        ]
    }

    /// 64 bytes: an Ethernet header of type 0x88b5 (local experiments) and zeros.
    static let frame: [UInt8] =
        [UInt8](repeating: 2, count: 12) + [0x88, 0xb5] + [UInt8](repeating: 0, count: 50)
}

func ring(bytes: Int = 4096) throws -> BPFMap {
    try BPFMap(creating: .ringBuffer, name: "ring", keySize: 0, valueSize: 0, maxEntries: bytes)
}
