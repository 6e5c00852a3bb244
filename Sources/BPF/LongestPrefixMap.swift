// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

/// A longest-prefix-match trie. A key starts with the prefix length in bits as a 32-bit number in
/// host byte order; the bits follow in network byte order.
public struct LongestPrefixMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: ~Copyable, Sendable {
    public let map: BPFMap
    public var name: String { map.name }
    public var capacity: Int { Int(map.info.maxEntries) }

    public init(_ map: consuming BPFMap) throws(BPFError) {
        try map.require(
            [.longestPrefix], keySize: MemoryLayout<Key>.size,
            valueSize: MemoryLayout<Value>.size)
        self.init(checked: map)
    }

    private init(checked map: consuming BPFMap) { self.map = map }

    /// - Throws: ``BPFError`` `.mapFull`: nothing changed.
    public func update(_ key: Key, _ value: Value) throws(BPFError) {
        try updateElement(map, key, value, 0)
    }

    /// Writes many elements in order, as ``HashMap/update(contentsOf:)`` does.
    public func update(
        contentsOf elements: some RandomAccessCollection<(key: Key, value: Value)>
    ) throws(BatchFailure) {
        try updateElements(map, elements)
    }

    /// The value of the longest prefix that contains `key`, which has its full length.
    public func lookup(_ key: Key) throws(BPFError) -> Value? {
        try lookupElement(map, key)
    }

    /// Deletes just this prefix; deleting what is gone is success.
    @discardableResult
    public func delete(_ key: Key) throws(BPFError) -> Bool {
        try deleteElement(map, key)
    }

    /// All prefixes. Two system calls for each.
    public func elements() throws(BPFError) -> [(key: Key, value: Value)] {
        let next = UnsafeMutablePointer<Key>.allocate(capacity: 1)
        defer { next.deallocate() }
        var elements: [(key: Key, value: Value)] = []
        var previous: Key?
        while true {
            let result =
                if let previous {
                    withUnsafeBytes(of: previous) {
                        bpf_map_get_next_key(map.descriptor.rawValue, $0.baseAddress, next)
                    }
                } else {
                    bpf_map_get_next_key(map.descriptor.rawValue, nil, next)
                }
            if result == -Errno.noSuchFileOrDirectory.rawValue { return elements }
            try check(result, "reading map \(name)")
            previous = next.pointee
            // Exactly this prefix: a lookup finds the longest match of its own length or shorter,
            // and the walk has just seen it.
            if let value = try lookup(next.pointee) {
                elements.append((next.pointee, value))
            }
        }
    }
}
