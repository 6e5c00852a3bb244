// SPDX-License-Identifier: Apache-2.0

/// The public half of a key that a node gossips with: an X25519 public key, 32 bytes as RFC 7748
/// writes them. No secret.
public struct GossipKey: Hashable, Sendable {
    public static let byteCount = 32
    /// Keys a node announces at once: the one in use, and its successor.
    public static let announcedMaximum = 2

    // Four words instead of an array: rosters hold thousands.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Nil unless there are 32 bytes. Whether they are a usable key shows when they are used.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var reader = ByteReader(bytes)
        guard let first = try? reader.read(UInt64.self), let second = try? reader.read(UInt64.self),
            let third = try? reader.read(UInt64.self), let fourth = try? reader.read(UInt64.self)
        else { return nil }
        words = (first, second, third, fourth)
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(self)
        return writer.bytes
    }

    public static func == (left: GossipKey, right: GossipKey) -> Bool { left.words == right.words }

    public func hash(into hasher: inout Hasher) { hasher.combine(ordered) }

    fileprivate var ordered: [UInt64] { [words.0, words.1, words.2, words.3] }
}

extension ByteWriter {
    public mutating func write(_ key: GossipKey) {
        for word in key.ordered { write(word) }
    }

    /// One byte of count, then the keys, oldest first; of more than two the newest two.
    public mutating func write(_ keys: [GossipKey]) {
        let announced = keys.suffix(GossipKey.announcedMaximum)
        write(UInt8(announced.count))
        for key in announced { write(key) }
    }
}

extension ByteReader {
    public mutating func readGossipKeys() throws(DecodingFault) -> [GossipKey] {
        let count = Int(try read(UInt8.self))
        guard count <= GossipKey.announcedMaximum else { throw .tooLong("gossip keys") }
        var keys: [GossipKey] = []
        for _ in 0..<count {
            guard let key = GossipKey(try read(raw: GossipKey.byteCount))
            else { throw .invalid("gossip key") }
            keys.append(key)
        }
        return keys
    }
}
