// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel

/// A SHA-256 digest, kept inline.
public struct LedgerDigest: Hashable, Sendable {
    static let byteCount = 32

    private let words: SIMD4<UInt64>

    private init(words: SIMD4<UInt64>) { self.words = words }

    /// What stands where there is nothing before: 32 zero bytes.
    public static let zero = LedgerDigest(words: .zero)

    /// The digest of `bytes`.
    init(of bytes: some Sequence<UInt8>) {
        var hash = SHA256()
        let contiguous: Void? = bytes.withContiguousStorageIfAvailable {
            hash.update(bufferPointer: UnsafeRawBufferPointer($0))
        }
        if contiguous == nil {
            Array(bytes).withUnsafeBytes { hash.update(bufferPointer: $0) }
        }
        self.init(hash.finalize())
    }

    /// The digest of `digests`, one after the other.
    init(combining digests: some Sequence<LedgerDigest>) {
        var writer = ByteWriter()
        for digest in digests { writer.write(digest) }
        self.init(of: writer.bytes)
    }

    private init(_ digest: SHA256.Digest) {
        var words = SIMD4<UInt64>.zero
        for (index, byte) in digest.enumerated() {
            words[index / 8] = words[index / 8] << 8 | UInt64(byte)
        }
        self.words = words
    }
}

extension LedgerDigest {
    /// 32 bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(self)
        return writer.bytes
    }

    fileprivate func write(into writer: inout ByteWriter) {
        for index in 0..<4 { writer.write(words[index]) }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingFault) {
        self.init(
            words: SIMD4(
                try reader.read(UInt64.self), try reader.read(UInt64.self),
                try reader.read(UInt64.self), try reader.read(UInt64.self)))
    }
}

extension ByteWriter {
    mutating func write(_ digest: LedgerDigest) { digest.write(into: &self) }
}

extension ByteReader {
    mutating func readDigest() throws(DecodingFault) -> LedgerDigest {
        try LedgerDigest(from: &self)
    }

    mutating func readDigests(_ count: Int) throws(DecodingFault) -> [LedgerDigest] {
        var digests: [LedgerDigest] = []
        digests.reserveCapacity(count)
        for _ in 0..<count { digests.append(try readDigest()) }
        return digests
    }

    mutating func readOwner() throws(DecodingFault) -> ClusterID {
        guard let owner = ClusterID(rawValue: try read()) else { throw .invalid("owner") }
        return owner
    }
}
