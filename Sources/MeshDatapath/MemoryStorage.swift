// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import Synchronization

final class MemoryMap<Key: BitwiseCopyable & Sendable, Value: BitwiseCopyable & Sendable>: KeyedMap
{
    let name: String
    let capacity: Int
    private let writes: WriteCounter
    /// By the key's bytes, as the kernel compares them.
    private let contents = Mutex<[[UInt8]: (key: Key, value: Value)]>([:])

    init(_ name: String, capacity: Int, writes: WriteCounter) {
        self.name = name
        self.capacity = capacity
        self.writes = writes
    }

    private func bytes(_ key: Key) -> [UInt8] { withUnsafeBytes(of: key) { Array($0) } }

    func lookup(_ key: Key) -> Value? {
        let bytes = bytes(key)
        return contents.withLock { $0[bytes]?.value }
    }

    func update(
        _ key: Key, _ value: Value, for action: @autoclosure () -> String
    ) throws(DatapathError) {
        let bytes = bytes(key)
        let fits = contents.withLock { contents in
            guard contents[bytes] != nil || contents.count < capacity else { return false }
            contents[bytes] = (key, value)
            return true
        }
        guard fits else { throw .mapFull(map: name, action: action()) }
        writes.add(to: name)
    }

    func update(
        _ elements: [(key: Key, value: Value)], for action: (Int) -> String
    ) -> [Int: DatapathError] {
        var failures: [Int: DatapathError] = [:]
        for (index, element) in elements.enumerated() {
            do throws(DatapathError) {
                try update(element.key, element.value, for: action(index))
            } catch {
                failures[index] = error
            }
        }
        return failures
    }

    func delete(_ key: Key) {
        let bytes = bytes(key)
        contents.withLock { _ = $0.removeValue(forKey: bytes) }
        writes.add(to: name)
    }

    func delete(_ keys: [Key]) {
        for key in keys { delete(key) }
    }

    func keys() -> [Key] { contents.withLock { $0.values.map(\.key) } }
    func elements() -> [(key: Key, value: Value)] { contents.withLock { Array($0.values) } }
}

final class MemoryArray<Element: BitwiseCopyable & Sendable>: ElementArray, Slab {
    let name: String
    let count: Int
    private let zero: Element
    private let writes: WriteCounter
    /// As far as anything was stored; what lies behind is zero.
    private let contents = Mutex<[Element]>([])

    init(_ name: String, count: Int, zero: Element, writes: WriteCounter) {
        self.name = name
        self.count = count
        self.zero = zero
        self.writes = writes
    }

    func load(_ index: Int) -> Element { load(index..<index + 1)[0] }

    func load(_ range: Range<Int>) -> [Element] {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return contents.withLock { contents in
            range.map { $0 < contents.count ? contents[$0] : zero }
        }
    }

    func store(_ element: Element, at index: Int) { store([element], at: index) }

    func store(_ elements: [Element], at start: Int) {
        let end = start + elements.count
        precondition(start >= 0 && end <= count)
        contents.withLock { contents in
            if contents.count < end {
                contents += Array(repeating: zero, count: end - contents.count)
            }
            contents.replaceSubrange(start..<end, with: elements)
        }
        writes.add(elements.count, to: name)
    }
}

final class MemoryWords: WordArray {
    let name: String
    let count: Int
    private let writes: WriteCounter
    private let contents: Mutex<[UInt64]>

    init(_ name: String, count: Int, writes: WriteCounter) {
        self.name = name
        self.count = count
        self.writes = writes
        contents = Mutex(Array(repeating: 0, count: count))
    }

    func word(at index: Int) -> UInt64 { contents.withLock { $0[index] } }

    func publish(_ word: UInt64, at index: Int) {
        contents.withLock { $0[index] = word }
        writes.add(to: name)
    }

    func publishIfZero(_ word: UInt64, at index: Int) {
        let isStored = contents.withLock { contents in
            guard contents[index] == 0 else { return false }
            contents[index] = word
            return true
        }
        if isStored { writes.add(to: name) }
    }

    func update(at index: Int, _ change: (UInt64) -> UInt64) {
        let isChanged = contents.withLock { contents in
            let held = contents[index]
            contents[index] = change(held)
            return contents[index] != held
        }
        if isChanged { writes.add(to: name) }
    }
}

extension Storage {
    /// Maps of plain memory, empty, with the kernel's bounds.
    static func inMemory(_ capacities: MapCapacities, _ writes: WriteCounter) -> Storage {
        let nodes = WEFT_NODES_MAX
        let clusters = WEFT_CLUSTERS_MAX
        return Storage(
            frontends: MemoryMap(
                MapName.frontends, capacity: capacities.frontends, writes: writes),
            services: MemoryWords(MapName.services, count: capacities.frontends, writes: writes),
            lists: MemoryArray(
                MapName.lists, count: capacities.lists, zero: weft_slice(), writes: writes),
            backends: MemoryArray(
                MapName.backends, count: capacities.backends, zero: weft_backend(),
                writes: writes),
            clusters: MemoryWords(MapName.clusters, count: clusters, writes: writes),
            nodes: MemoryWords(MapName.nodes, count: nodes, writes: writes),
            nodeNames: MemoryMap(MapName.nodeNames, capacity: nodes, writes: writes),
            tunnels: MemoryArray(
                MapName.tunnels, count: nodes, zero: weft_tunnel(), writes: writes),
            outerSources: MemoryMap(MapName.outerSources, capacity: nodes, writes: writes),
            endpoints: MemoryMap(
                MapName.endpoints, capacity: capacities.endpoints, writes: writes),
            prefixes: MemoryMap(MapName.prefixes, capacity: capacities.prefixes, writes: writes),
            clusterSettings: MemoryArray(
                MapName.clusterSettings, count: clusters, zero: weft_cluster_settings(),
                writes: writes),
            evidence: MemoryMap(MapName.evidence, capacity: capacities.evidence, writes: writes),
            responder: MemoryWords(
                MapName.responder, count: Int(WEFT_RESPONDER_WORDS.rawValue), writes: writes),
            policySets: MemoryWords(
                MapName.policySets, count: capacities.policySets, writes: writes),
            policyPeers: MemoryMap(
                MapName.policyPeers, capacity: capacities.policyPeers, writes: writes),
            policyIntervals: MemoryArray(
                MapName.policyIntervals, count: capacities.policyIntervals, zero: 0,
                writes: writes),
            policyBlocks: MemoryMap(
                MapName.policyBlocks, capacity: capacities.policyBlocks, writes: writes),
            policyKnown: MemoryMap(
                MapName.policyKnown, capacity: capacities.policyKnown, writes: writes))
    }
}
