// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CMeshABI

/// A kernel map whose elements have keys.
protocol KernelKeyedMap<Key, Value>: ~Copyable, Sendable {
    associatedtype Key: BitwiseCopyable
    associatedtype Value: BitwiseCopyable

    var name: String { get }
    var capacity: Int { get }
    func lookup(_ key: Key) throws(BPFError) -> Value?
    func put(_ key: Key, _ value: Value) throws(BPFError)
    func put(_ elements: ArraySlice<(key: Key, value: Value)>) throws(BatchFailure)
    func delete(_ key: Key) throws(BPFError) -> Bool
    func remove(_ keys: [Key]) throws(BPFError)
    func keys() throws(BPFError) -> [Key]
    func elements() throws(BPFError) -> [(key: Key, value: Value)]
}

extension HashMap: KernelKeyedMap {
    func put(_ key: Key, _ value: Value) throws(BPFError) { try update(key, value) }

    func put(_ elements: ArraySlice<(key: Key, value: Value)>) throws(BatchFailure) {
        try update(contentsOf: elements)
    }

    func remove(_ keys: [Key]) throws(BPFError) { try delete(keys) }

    func elements() throws(BPFError) -> [(key: Key, value: Value)] {
        var elements: [(key: Key, value: Value)] = []
        try walk { key, value in
            elements.append((key, value))
            return true
        }
        return elements
    }
}

extension LongestPrefixMap: KernelKeyedMap {
    func put(_ key: Key, _ value: Value) throws(BPFError) { try update(key, value) }

    func put(_ elements: ArraySlice<(key: Key, value: Value)>) throws(BatchFailure) {
        try update(contentsOf: elements)
    }

    func remove(_ keys: [Key]) throws(BPFError) {
        for key in keys { try delete(key) }
    }

    func keys() throws(BPFError) -> [Key] { try elements().map(\.key) }
}

/// A hash or a trie in the kernel.
final class KernelMap<Map: KernelKeyedMap & ~Copyable>: KeyedMap {
    private let map: Map
    private let writes: WriteCounter

    init(_ map: consuming Map, _ writes: WriteCounter) {
        self.map = map
        self.writes = writes
    }

    var name: String { map.name }
    var capacity: Int { map.capacity }

    func lookup(_ key: Map.Key) throws(DatapathError) -> Map.Value? {
        do { return try map.lookup(key) } catch { throw .kernel(error) }
    }

    func update(
        _ key: Map.Key, _ value: Map.Value, for action: @autoclosure () -> String
    ) throws(DatapathError) {
        do {
            try map.put(key, value)
        } catch {
            throw DatapathError(error, map: name, action: action())
        }
        writes.add(to: name)
    }

    func update(
        _ elements: [(key: Map.Key, value: Map.Value)], for action: (Int) -> String
    ) -> [Int: DatapathError] {
        var failures: [Int: DatapathError] = [:]
        var rest = elements[...]
        while !rest.isEmpty {
            do {
                try map.put(rest)
                break
            } catch {
                let failed = rest.startIndex + error.written
                failures[failed] = DatapathError(error.error, map: name, action: action(failed))
                rest = rest[(failed + 1)...]
            }
        }
        writes.add(elements.count - failures.count, to: name)
        return failures
    }

    func delete(_ key: Map.Key) throws(DatapathError) {
        do { _ = try map.delete(key) } catch { throw .kernel(error) }
        writes.add(to: name)
    }

    func delete(_ keys: [Map.Key]) throws(DatapathError) {
        guard !keys.isEmpty else { return }
        do { try map.remove(keys) } catch { throw .kernel(error) }
        writes.add(keys.count, to: name)
    }

    func keys() throws(DatapathError) -> [Map.Key] {
        do { return try map.keys() } catch { throw .kernel(error) }
    }

    func elements() throws(DatapathError) -> [(key: Map.Key, value: Map.Value)] {
        do { return try map.elements() } catch { throw .kernel(error) }
    }
}

final class KernelArray<Element: BitwiseCopyable>: ElementArray {
    private let map: ArrayMap<Element>
    private let writes: WriteCounter

    init(_ map: consuming ArrayMap<Element>, _ writes: WriteCounter) {
        self.map = map
        self.writes = writes
    }

    var name: String { map.name }
    var count: Int { map.count }

    func load(_ index: Int) throws(DatapathError) -> Element {
        do { return try map.lookup(index) } catch { throw .kernel(error) }
    }

    func store(_ element: Element, at index: Int) throws(DatapathError) {
        do { try map.update(index, element) } catch { throw .kernel(error) }
        writes.add(to: name)
    }
}

final class KernelSlab<Element: BitwiseCopyable>: Slab {
    private let array: MappedArray<Element>
    private let writes: WriteCounter

    init(_ array: consuming MappedArray<Element>, _ writes: WriteCounter) {
        self.array = array
        self.writes = writes
    }

    var name: String { array.name }
    var count: Int { array.count }

    func load(_ range: Range<Int>) -> [Element] { array.load(range) }

    func store(_ elements: [Element], at start: Int) {
        array.store(elements, at: start)
        writes.add(elements.count, to: name)
    }
}

final class KernelWords: WordArray {
    private let array: MappedArray<UInt64>
    private let writes: WriteCounter

    init(_ array: consuming MappedArray<UInt64>, _ writes: WriteCounter) {
        self.array = array
        self.writes = writes
    }

    var name: String { array.name }
    var count: Int { array.count }

    func word(at index: Int) -> UInt64 { array.word(at: index) }

    func publish(_ word: UInt64, at index: Int) {
        array.publish(word, at: index)
        writes.add(to: name)
    }

    func publishIfZero(_ word: UInt64, at index: Int) {
        if array.publishIfZero(word, at: index) { writes.add(to: name) }
    }

    func update(at index: Int, _ change: (UInt64) -> UInt64) {
        var held = array.word(at: index)
        while true {
            let wanted = change(held)
            guard wanted != held else { return }
            if array.exchange(&held, by: wanted, at: index) { return writes.add(to: name) }
        }
    }
}
