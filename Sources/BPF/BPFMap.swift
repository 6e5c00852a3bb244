// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

/// What the kernel says about a map. Sizes in bytes.
public struct MapInfo: Hashable, Sendable {
    public enum Kind: UInt32, Hashable, Sendable {
        case hash = 1
        case array = 2
        case programArray = 3
        case perCPUArray = 6
        case lruHash = 9
        case longestPrefix = 11
        case socketStorage = 24
        case ringBuffer = 27
    }

    /// Attributes a map is created with.
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Elements are allocated when they appear. Longest-prefix maps and socket storage need it.
        public static let noPreallocation = Flags(rawValue: 1)
        /// The array can be mapped into a process.
        public static let mappable = Flags(rawValue: 1 << 10)
    }

    /// At most 15 characters: the kernel keeps no more.
    public let name: String
    public let kernelID: UInt32
    /// `enum bpf_map_type`.
    public let type: UInt32
    public let keySize: UInt32
    public let valueSize: UInt32
    public let maxEntries: UInt32
    public let flags: Flags

    /// Nil for the kinds this library has no type for.
    public var kind: Kind? { Kind(rawValue: type) }

    /// As the kernel's tools call the type, `lru_hash`; its number when libbpf knows no name.
    public var typeName: String {
        libbpf_bpf_map_type_str(bpf_map_type(rawValue: type)).map(String.init(cString:))
            ?? String(type)
    }
}

/// A map of any kind, owned. The typed maps are made from it.
public struct BPFMap: ~Copyable, Sendable {
    public let descriptor: OwnedDescriptor
    public let info: MapInfo
    /// The full name, or what the kernel kept of it.
    public let name: String

    // Initialisers that throw delegate to one that doesn't, here and in every type of this library
    // that owns a descriptor: Swift 6.3 runs the deinitialiser of a noncopyable member that a
    // throwing initialiser has not assigned yet, which closes descriptor 0.
    private init(_ descriptor: consuming OwnedDescriptor, _ info: MapInfo, name: String?) {
        self.descriptor = descriptor
        self.info = info
        self.name = name ?? info.name
    }

    init(descriptor: consuming OwnedDescriptor, name: String? = nil) throws(BPFError) {
        let info = try Self.info(of: descriptor.rawValue)
        self.init(descriptor, info, name: name)
    }

    /// Creates a map that lives as long as a descriptor, a program or a pin refers to it.
    ///
    /// - Parameters:
    ///   - keySize: bytes; 0 for ring buffers, 4 for arrays.
    ///   - maxEntries: elements; bytes for ring buffers, a power of two and of whole pages.
    public init(
        creating kind: MapInfo.Kind, name: String, keySize: Int, valueSize: Int, maxEntries: Int,
        flags: MapInfo.Flags = []
    ) throws(BPFError) {
        var options = bpf_map_create_opts()
        options.sz = optionsSize(\bpf_map_create_opts.map_ifindex)
        options.map_flags = flags.rawValue
        let number = try check(
            bpf_map_create(
                bpf_map_type(rawValue: kind.rawValue), name, UInt32(keySize), UInt32(valueSize),
                UInt32(maxEntries), &options),
            "creating map \(name)")
        try self.init(descriptor: OwnedDescriptor(owning: number), name: name)
    }

    /// - Throws: ``BPFError`` `.notFound` when nothing is pinned there.
    public init(pinnedAt path: String, name: String? = nil) throws(BPFError) {
        let number = try check(bpf_obj_get(path), "opening the pinned map \(path)")
        try self.init(descriptor: OwnedDescriptor(owning: number), name: name)
    }

    /// Makes the map outlive this process. The folder must lie in a BPF file system.
    public func pin(at path: String) throws(BPFError) {
        try check(bpf_obj_pin(descriptor.rawValue, path), "pinning map \(name) at \(path)")
    }

    /// The same map by another descriptor.
    public func reopened() throws(BPFError) -> BPFMap {
        try BPFMap(descriptor: try descriptor.duplicate(), name: name)
    }

    static func info(of descriptor: Int32) throws(BPFError) -> MapInfo {
        var info = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        try check(
            bpf_obj_get_info_by_fd(descriptor, &info, &length),
            "asking about the map behind descriptor \(descriptor)")
        let name = withUnsafeBytes(of: info.name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return MapInfo(
            name: name, kernelID: info.id, type: info.type, keySize: info.key_size,
            valueSize: info.value_size, maxEntries: info.max_entries,
            flags: MapInfo.Flags(rawValue: info.map_flags))
    }

    /// - Throws: `.layoutMismatch` naming the map and both numbers.
    func require(
        _ kinds: [MapInfo.Kind], keySize: Int, valueSize: Int, flags: MapInfo.Flags = []
    ) throws(BPFError) {
        func mismatch(_ what: String) -> BPFError {
            BPFError(.layoutMismatch, action: "opening map \(name)", detail: what)
        }
        guard let kind = info.kind, kinds.contains(kind) else {
            throw mismatch("its kind is \(info.type), expected \(kinds)")
        }
        guard info.keySize == keySize else {
            throw mismatch("its keys have \(info.keySize) bytes, expected \(keySize)")
        }
        guard info.valueSize == valueSize else {
            throw mismatch("its values have \(info.valueSize) bytes, expected \(valueSize)")
        }
        guard info.flags.isSuperset(of: flags) else {
            throw mismatch("it was not made to be mapped into a process")
        }
    }
}
