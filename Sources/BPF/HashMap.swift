// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

/// A hash map, plain or LRU. Keys compare by their bytes, padding included: keep it zero.
///
/// Every operation is one system call unless said otherwise.
public struct HashMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: ~Copyable, Sendable {
    public let map: BPFMap
    var descriptor: Int32 { map.descriptor.rawValue }
    public var name: String { map.name }
    public var capacity: Int { Int(map.info.maxEntries) }

    /// - Throws: ``BPFError`` `.layoutMismatch` when the sizes are not the kernel's.
    public init(_ map: consuming BPFMap) throws(BPFError) {
        try map.require(
            [.hash, .lruHash], keySize: MemoryLayout<Key>.size, valueSize: MemoryLayout<Value>.size)
        self.init(checked: map)
    }

    private init(checked map: consuming BPFMap) { self.map = map }

    /// What a key may have already when it is written.
    public enum Condition: UInt64, Sendable {
        case any = 0
        case absent = 1
        case present = 2
    }

    /// Inserts or replaces. A reader on another CPU may see a replaced value half old, half new.
    ///
    /// - Throws: `.mapFull`: nothing changed. `.alreadyExists` or `.notFound` by `condition`.
    public func update(
        _ key: Key, _ value: Value, _ condition: Condition = .any
    ) throws(BPFError) {
        try updateElement(map, key, value, condition.rawValue)
    }

    public func lookup(_ key: Key) throws(BPFError) -> Value? {
        try lookupElement(map, key)
    }

    /// Deleting what is gone is success.
    ///
    /// - Returns: whether the key was there.
    @discardableResult
    public func delete(_ key: Key) throws(BPFError) -> Bool {
        try deleteElement(map, key)
    }

    /// Calls `body` with every element that stays while the walk lasts; others may be missed or seen.
    ///
    /// - Parameter body: returns false to stop.
    /// - Complexity: one system call for `batchSize` elements.
    public func walk(
        batchSize: Int = 1024, _ body: (Key, Value) -> Bool
    ) throws(BPFError) {
        var cursor: UInt32?
        var count = max(batchSize, 1)
        while true {
            guard let batch = try lookupBatch(after: &cursor, count: &count) else { return }
            for (key, value) in batch.elements where !body(key, value) { return }
            if batch.isLast { return }
        }
    }

    /// The keys present, in the kernel's order.
    public func keys() throws(BPFError) -> [Key] {
        var keys: [Key] = []
        try walk { key, _ in
            keys.append(key)
            return true
        }
        return keys
    }

    /// - Complexity: reads every element.
    public func count() throws(BPFError) -> Int {
        var count = 0
        try walk { _, _ in
            count += 1
            return true
        }
        return count
    }
}

func updateElement<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ map: borrowing BPFMap, _ key: Key, _ value: Value, _ flags: UInt64
) throws(BPFError) {
    let result = withUnsafeBytes(of: key) { key in
        withUnsafeBytes(of: value) { value in
            bpf_map_update_elem(
                map.descriptor.rawValue, key.baseAddress, value.baseAddress, flags)
        }
    }
    guard result < 0 else { return }
    throw BPFError(result: result, action: "updating map \(map.name)")
}

func lookupElement<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ map: borrowing BPFMap, _ key: Key
) throws(BPFError) -> Value? {
    let buffer = UnsafeMutablePointer<Value>.allocate(capacity: 1)
    defer { buffer.deallocate() }
    let result = withUnsafeBytes(of: key) { key in
        bpf_map_lookup_elem(map.descriptor.rawValue, key.baseAddress, buffer)
    }
    if result == 0 { return buffer.pointee }
    if result == -Errno.noSuchFileOrDirectory.rawValue { return nil }
    throw BPFError(result: result, action: "looking up in map \(map.name)")
}

func deleteElement<Key: BitwiseCopyable>(
    _ map: borrowing BPFMap, _ key: Key
) throws(BPFError) -> Bool {
    let result = withUnsafeBytes(of: key) { key in
        bpf_map_delete_elem(map.descriptor.rawValue, key.baseAddress)
    }
    if result == 0 { return true }
    if result == -Errno.noSuchFileOrDirectory.rawValue { return false }
    throw BPFError(result: result, action: "deleting from map \(map.name)")
}
