// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import SystemPackage

/// An array in memory shared with the kernel: reads and writes are plain loads and stores, without
/// system calls. The map was created with ``MapInfo/Flags/mappable``.
///
/// Stores to elements are not ordered and may be seen half done; ``publish(_:at:)`` is what makes
/// everything stored before it visible. An index outside `0..<count` is a programming error.
///
/// Unchecked: threads share the memory as programs in the kernel do. Whoever writes elements
/// serialises; words are single atomic stores.
public struct MappedArray<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    public let map: BPFMap
    public let count: Int
    private let memory: UnsafeMutableRawBufferPointer

    public var name: String { map.name }

    /// Bytes between two elements: the kernel keeps them eight apart at least.
    private static var stride: Int { (MemoryLayout<Element>.size + 7) & ~7 }

    /// - Throws: ``BPFError`` `.layoutMismatch` when the size is not the kernel's, or the map was
    ///   not made to be mapped.
    public init(_ map: consuming BPFMap) throws(BPFError) {
        try map.require(
            [.array], keySize: 4, valueSize: MemoryLayout<Element>.size, flags: .mappable)
        let page = Int(getpagesize())
        let bytes = Int(map.info.maxEntries) * Self.stride
        let memory = try Self.share(map, length: (bytes + page - 1) / page * page)
        self.init(map, memory)
    }

    private init(_ map: consuming BPFMap, _ memory: UnsafeMutableRawBufferPointer) {
        count = Int(map.info.maxEntries)
        self.memory = memory
        self.map = map
    }

    private static func share(
        _ map: borrowing BPFMap, length: Int
    ) throws(BPFError) -> UnsafeMutableRawBufferPointer {
        let address = mmap(
            nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, map.descriptor.rawValue, 0)
        guard let address, address != MAP_FAILED else {
            throw BPFError(
                .system, errno: Errno(rawValue: errno), action: "mapping map \(map.name)")
        }
        return UnsafeMutableRawBufferPointer(start: address, count: length)
    }

    deinit { munmap(memory.baseAddress, memory.count) }

    public subscript(index: Int) -> Element {
        get {
            precondition((0..<count).contains(index))
            return memory.loadUnaligned(fromByteOffset: index * Self.stride, as: Element.self)
        }
        nonmutating set {
            precondition((0..<count).contains(index))
            memory.storeBytes(of: newValue, toByteOffset: index * Self.stride, as: Element.self)
        }
    }

    /// Stores `elements` from `start` on, in order.
    public func store(_ elements: [Element], at start: Int) {
        precondition(start >= 0 && start + elements.count <= count)
        for (offset, element) in elements.enumerated() { self[start + offset] = element }
    }

    public func load(_ range: Range<Int>) -> [Element] { range.map { self[$0] } }
}

extension MappedArray where Element == UInt64 {
    /// One aligned 8-byte store with release semantics: a reader that sees it sees all stores made
    /// before it.
    public func publish(_ word: UInt64, at index: Int) {
        precondition((0..<count).contains(index))
        shim_store_release(pointer(to: index), word)
    }

    public func word(at index: Int) -> UInt64 {
        precondition((0..<count).contains(index))
        return shim_load_acquire(pointer(to: index))
    }

    /// As ``publish(_:at:)``, if the word is still zero; whoever else stores there wins.
    ///
    /// - Returns: whether the word was stored.
    public func publishIfZero(_ word: UInt64, at index: Int) -> Bool {
        precondition((0..<count).contains(index))
        return shim_exchange_zero(pointer(to: index), word)
    }

    /// As ``publish(_:at:)``, if the word is still `held`; else that becomes what the word is.
    ///
    /// - Returns: whether the word was stored.
    public func exchange(_ held: inout UInt64, by word: UInt64, at index: Int) -> Bool {
        precondition((0..<count).contains(index))
        return shim_exchange(pointer(to: index), &held, word)
    }

    private func pointer(to index: Int) -> UnsafeMutablePointer<UInt64> {
        memory.assumingMemoryBound(to: UInt64.self).baseAddress! + index
    }
}
