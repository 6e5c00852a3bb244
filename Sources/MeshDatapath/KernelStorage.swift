// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CMeshABI

final class KernelHash<Key: BitwiseCopyable, Value: BitwiseCopyable>: KeyedMap {
    private let map: HashMap<Key, Value>
    private let writes: WriteCounter

    init(_ map: consuming HashMap<Key, Value>, _ writes: WriteCounter) {
        self.map = map
        self.writes = writes
    }

    var name: String { map.name }
    var capacity: Int { map.capacity }

    func lookup(_ key: Key) throws(DatapathError) -> Value? {
        do { return try map.lookup(key) } catch { throw .kernel(error) }
    }

    func update(
        _ key: Key, _ value: Value, for action: @autoclosure () -> String
    ) throws(DatapathError) {
        do {
            try map.update(key, value)
        } catch {
            throw DatapathError(error, map: name, action: action())
        }
        writes.add(to: name)
    }

    func delete(_ key: Key) throws(DatapathError) {
        do { try map.delete(key) } catch { throw .kernel(error) }
        writes.add(to: name)
    }

    func elements() throws(DatapathError) -> [(key: Key, value: Value)] {
        var elements: [(key: Key, value: Value)] = []
        do {
            try map.walk { key, value in
                elements.append((key, value))
                return true
            }
        } catch {
            throw .kernel(error)
        }
        return elements
    }
}

final class KernelTrie<Key: BitwiseCopyable, Value: BitwiseCopyable>: KeyedMap {
    private let map: LongestPrefixMap<Key, Value>
    private let writes: WriteCounter

    init(_ map: consuming LongestPrefixMap<Key, Value>, _ writes: WriteCounter) {
        self.map = map
        self.writes = writes
    }

    var name: String { map.name }
    var capacity: Int { map.capacity }

    func lookup(_ key: Key) throws(DatapathError) -> Value? {
        do { return try map.lookup(key) } catch { throw .kernel(error) }
    }

    func update(
        _ key: Key, _ value: Value, for action: @autoclosure () -> String
    ) throws(DatapathError) {
        do {
            try map.update(key, value)
        } catch {
            throw DatapathError(error, map: name, action: action())
        }
        writes.add(to: name)
    }

    func delete(_ key: Key) throws(DatapathError) {
        do { try map.delete(key) } catch { throw .kernel(error) }
        writes.add(to: name)
    }

    func elements() throws(DatapathError) -> [(key: Key, value: Value)] {
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
}
