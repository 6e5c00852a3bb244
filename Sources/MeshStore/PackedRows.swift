// SPDX-License-Identifier: Apache-2.0

/// What a row says beside its key. The node is a number of the table's own, below 2^31.
struct PackedValue: Sendable {
    let identity: UInt32
    let record: UInt32
    private let place: UInt32

    init(identity: UInt32, node: UInt32, record: UInt32, hasSiblings: Bool) {
        self.identity = identity
        self.record = record
        place = node << 1 | (hasSiblings ? 1 : 0)
    }

    var node: UInt32 { place >> 1 }
    /// See ``EndpointRow/hasSiblings``.
    var hasSiblings: Bool { place & 1 == 1 }
}

/// Many small rows in ascending order of their keys, 12 bytes and the key each.
///
/// They lie in chunks that grow by a few rows at a time, so that little room is spare. A copy
/// shares them; a change copies the chunk that it touches, and the list of chunks.
struct PackedRows<Key: Comparable & Sendable>: Sendable {
    static var chunkMaximum: Int { 512 }
    /// Rows by which a full chunk grows.
    static var growth: Int { 32 }

    typealias Value = PackedValue

    struct Row: Sendable {
        let key: Key
        var value: Value
    }

    private(set) var count = 0
    /// None is empty.
    private(set) var chunks: [[Row]] = []
    /// The keys of a chunk are at least its bound, if it isn't the first, and less than the next
    /// one's.
    private var bounds: [Key] = []

    subscript(key: Key) -> Value? {
        guard !chunks.isEmpty else { return nil }
        let (chunk, place) = place(of: key)
        return holds(key, chunk, place) ? chunks[chunk][place].value : nil
    }

    /// Inserts or replaces.
    mutating func set(_ value: Value, for key: Key) {
        guard !chunks.isEmpty else {
            chunks = [[Row(key: key, value: value)]]
            bounds = [key]
            count = 1
            return
        }
        var (chunk, place) = place(of: key)
        guard !holds(key, chunk, place) else {
            chunks[chunk][place].value = value
            return
        }
        if chunks[chunk].count == Self.chunkMaximum {
            split(chunk, keeping: place == Self.chunkMaximum ? place : Self.chunkMaximum / 2, key)
            (chunk, place) = self.place(of: key)
        }
        let size = chunks[chunk].count
        chunks[chunk].reserveCapacity(
            size == chunks[chunk].capacity ? size + Self.growth : size + 1)
        chunks[chunk].insert(Row(key: key, value: value), at: place)
        count += 1
    }

    /// - Returns: what was removed.
    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        guard !chunks.isEmpty else { return nil }
        let (chunk, place) = place(of: key)
        guard holds(key, chunk, place) else { return nil }
        let value = chunks[chunk].remove(at: place).value
        count -= 1
        if chunks[chunk].isEmpty {
            chunks.remove(at: chunk)
            bounds.remove(at: chunk)
        } else if chunks[chunk].count < Self.chunkMaximum / 8, chunk > 0,
            chunks[chunk - 1].count < Self.chunkMaximum / 2
        {
            chunks[chunk - 1].append(contentsOf: chunks.remove(at: chunk))
            bounds.remove(at: chunk)
            trim(chunk - 1)
        } else {
            trim(chunk)
        }
        return value
    }

    /// Moves what is behind the first `size` rows into a chunk of its own, for `key` if that is
    /// nothing.
    private mutating func split(_ chunk: Int, keeping size: Int, _ key: Key) {
        let tail = Array(chunks[chunk][size...])
        guard let first = tail.first else {
            // Ascending keys fill their chunks.
            if chunk + 1 == chunks.count {
                chunks.append([])
                bounds.append(key)
            } else {
                split(chunk, keeping: size / 2, key)
            }
            return
        }
        chunks[chunk] = Array(chunks[chunk][..<size])
        chunks.insert(tail, at: chunk + 1)
        bounds.insert(first.key, at: chunk + 1)
    }

    private mutating func trim(_ chunk: Int) {
        guard chunks[chunk].capacity > chunks[chunk].count + 2 * Self.growth else { return }
        chunks[chunk] = chunks[chunk].withUnsafeBufferPointer(Array.init)
    }

    private func holds(_ key: Key, _ chunk: Int, _ place: Int) -> Bool {
        place < chunks[chunk].count && chunks[chunk][place].key == key
    }

    /// Where `key` stands or would stand; there is a chunk.
    private func place(of key: Key) -> (chunk: Int, place: Int) {
        let chunk = max(bounds.firstIndex { $0 > key } - 1, 0)
        return (chunk, chunks[chunk].firstIndex { $0.key >= key })
    }
}

extension Array {
    /// The first index from which on `isBehind` holds, by halving.
    fileprivate func firstIndex(_ isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
