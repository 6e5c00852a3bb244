// SPDX-License-Identifier: Apache-2.0

/// Tells a damaged row: SQLite checks the shape of its pages, not the bytes of a value.
///
/// Each step maps state to state and word to state one to one, so a change within one 8-byte word
/// is always seen, any other but for 1 in 2⁶⁴. No defence against intent; the signatures are that.
struct Checksum {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func add(_ word: UInt64) {
        state = (state ^ word) &* 0xFF51_AFD7_ED55_8CCD
        state ^= state >> 32
    }

    /// Length and bytes.
    mutating func add(_ bytes: [UInt8]) {
        add(UInt64(bytes.count))
        bytes.withUnsafeBytes { bytes in
            let whole = bytes.count & ~7
            var offset = 0
            while offset < whole {
                add(
                    UInt64(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                offset += 8
            }
            add(bytes[whole...].reduce(0) { $0 << 8 | UInt64($1) })
        }
    }

    /// As SQLite keeps it.
    var stored: Int64 { Int64(bitPattern: state) }

    /// - Parameters:
    ///   - keys: what makes the row this row, so that a value under another's key is told too.
    static func of(_ keys: Int64..., bytes: [UInt8]) -> Int64 {
        var checksum = Checksum()
        for key in keys { checksum.add(UInt64(bitPattern: key)) }
        checksum.add(bytes)
        return checksum.stored
    }
}

extension Checksum {
    static func of(key: [UInt8], bytes: [UInt8]) -> Int64 {
        var checksum = Checksum()
        checksum.add(key)
        checksum.add(bytes)
        return checksum.stored
    }
}
