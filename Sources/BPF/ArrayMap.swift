// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

/// An array, every element present from the start. One system call for each operation.
public struct ArrayMap<Element: BitwiseCopyable>: ~Copyable, Sendable {
    public let map: BPFMap
    public var name: String { map.name }
    public var count: Int { Int(map.info.maxEntries) }

    public init(_ map: consuming BPFMap) throws(BPFError) {
        try map.require([.array], keySize: 4, valueSize: MemoryLayout<Element>.size)
        self.init(checked: map)
    }

    private init(checked map: consuming BPFMap) { self.map = map }

    /// A reader on another CPU may see the element half old, half new.
    public func update(_ index: Int, _ element: Element) throws(BPFError) {
        try updateElement(map, try self.index(index), element, 0)
    }

    public func lookup(_ index: Int) throws(BPFError) -> Element {
        guard let element: Element = try lookupElement(map, try self.index(index)) else {
            throw BPFError(.notFound, action: "looking up element \(index) of map \(name)")
        }
        return element
    }

    private func index(_ index: Int) throws(BPFError) -> UInt32 {
        guard (0..<count).contains(index) else {
            throw BPFError(
                .notFound, action: "using element \(index) of map \(name)",
                detail: "it has \(count)")
        }
        return UInt32(index)
    }
}

/// An array with a copy of every element for each possible CPU.
public struct PerCPUArrayMap<Element: BitwiseCopyable>: ~Copyable, Sendable {
    public let map: BPFMap
    public let cpus: Int
    public var name: String { map.name }
    public var count: Int { Int(map.info.maxEntries) }

    public init(_ map: consuming BPFMap) throws(BPFError) {
        try map.require([.perCPUArray], keySize: 4, valueSize: MemoryLayout<Element>.size)
        let cpus = Int(try check(libbpf_num_possible_cpus(), "counting possible CPUs"))
        self.init(checked: map, cpus: cpus)
    }

    private init(checked map: consuming BPFMap, cpus: Int) {
        self.map = map
        self.cpus = cpus
    }

    /// The element's copy of each possible CPU, which include those that are offline.
    public func lookup(_ index: Int) throws(BPFError) -> [Element] {
        // The kernel rounds each copy up to eight bytes.
        let stride = (MemoryLayout<Element>.size + 7) & ~7
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: stride * cpus, alignment: 8)
        defer { buffer.deallocate() }
        var key = UInt32(clamping: index)
        try check(
            bpf_map_lookup_elem(map.descriptor.rawValue, &key, buffer),
            "looking up element \(index) of map \(name)")
        return (0..<cpus).map {
            buffer.loadUnaligned(fromByteOffset: $0 * stride, as: Element.self)
        }
    }

    /// All CPUs' copies of an element, folded.
    public func sum(
        _ index: Int, _ initial: Element, _ add: (inout Element, Element) -> Void
    ) throws(BPFError) -> Element {
        try lookup(index).reduce(into: initial, add)
    }
}
