// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import SystemPackage

/// A compiled BPF object that is opened and not yet loaded: the time to size its maps, hand it
/// pinned ones and set its constants. Nothing of it is in the kernel until ``load()``.
public struct BPFObject: ~Copyable {
    public let name: String
    private let handle: OpaquePointer

    /// - Parameters:
    ///   - bytes: an ELF file, which is copied.
    ///   - name: what errors call it; the kernel keeps its first 15 characters.
    /// - Throws: ``BPFError`` `.invalidObject` with libbpf's words.
    public init(bytes: UnsafeRawBufferPointer, name: String) throws(BPFError) {
        let (handle, text) = LibraryLog.capture {
            name.withCString { name in
                var options = bpf_object_open_opts()
                options.sz = optionsSize(\bpf_object_open_opts.kernel_log_level)
                options.object_name = name
                return bpf_object__open_mem(bytes.baseAddress, bytes.count, &options)
            }
        }
        guard let handle else {
            throw BPFError(
                .invalidObject, errno: Errno(rawValue: errno), action: "opening object \(name)",
                detail: text)
        }
        self.init(handle, name: name)
    }

    private init(_ handle: OpaquePointer, name: String) {
        self.handle = handle
        self.name = name
    }

    deinit { bpf_object__close(handle) }

    /// Names of the maps, without the sections of constants and variables.
    public var mapNames: [String] {
        Self.mapHandles(handle).filter { !bpf_map__is_internal($0) }.map(Self.mapName)
    }

    public var programNames: [String] { Self.programHandles(handle).map(Self.programName) }

    /// Sets how many elements a map has room for; replaces what the object says.
    public func setMaxEntries(_ count: Int, of map: String) throws(BPFError) {
        try check(
            bpf_map__set_max_entries(try mapHandle(map), UInt32(count)),
            "sizing map \(map) to \(count)")
    }

    /// Whether ``load()`` loads a program; all are unless said otherwise.
    public func setAutoload(_ isOn: Bool, program: String) throws(BPFError) {
        try check(
            bpf_program__set_autoload(try programHandle(program), isOn),
            "choosing program \(program)")
    }

    /// Lets the object use, instead of a new map, the one pinned under its name in `directory`.
    ///
    /// - Returns: names of the maps that were found.
    /// - Throws: `.incompatiblePin` naming the map and what differs; nothing changed.
    public func reusePinnedMaps(in directory: String) throws(BPFError) -> Set<String> {
        var reused: Set<String> = []
        for map in Self.mapHandles(handle) where !bpf_map__is_internal(map) {
            let name = Self.mapName(map)
            guard try Self.reuse(map, name: name, pinnedAt: "\(directory)/\(name)") else {
                continue
            }
            reused.insert(name)
        }
        return reused
    }

    private static func reuse(
        _ map: OpaquePointer, name: String, pinnedAt path: String
    ) throws(BPFError) -> Bool {
        guard access(path, F_OK) == 0 else { return false }
        let pinned = try BPFMap(pinnedAt: path, name: name)
        let wanted = [
            ("kind", bpf_map__type(map).rawValue, pinned.info.type),
            ("key size", bpf_map__key_size(map), pinned.info.keySize),
            ("value size", bpf_map__value_size(map), pinned.info.valueSize),
            ("capacity", bpf_map__max_entries(map), pinned.info.maxEntries),
            ("flags", bpf_map__map_flags(map), pinned.info.flags.rawValue),
        ]
        for (what, wanted, found) in wanted where wanted != found {
            throw BPFError(
                .incompatiblePin, action: "reusing map \(name) pinned at \(path)",
                detail: "its \(what) is \(found), the object needs \(wanted)")
        }
        try check(
            bpf_map__reuse_fd(map, pinned.descriptor.rawValue), "reusing map \(name) at \(path)")
        return true
    }

    /// Sets a load-time constant, a `const volatile` variable in `.rodata`.
    ///
    /// - Throws: `.invalidObject` when there is no such constant or it has another size.
    public func setConstant<Value: BitwiseCopyable>(
        _ value: Value, named constant: String
    ) throws(BPFError) {
        let action = "setting constant \(constant) of object \(name)"
        guard let variable = BTF(of: handle)?.variable(constant, section: ".rodata"),
            let map = bpf_object__find_map_by_name(handle, ".rodata")
        else { throw BPFError(.invalidObject, action: action, detail: "there is none") }
        var size = 0
        guard let section = bpf_map__initial_value(map, &size),
            variable.size == MemoryLayout<Value>.size, variable.offset + variable.size <= size
        else {
            throw BPFError(
                .invalidObject, action: action,
                detail: "it has \(variable.size) bytes, not \(MemoryLayout<Value>.size)")
        }
        UnsafeMutableRawPointer(mutating: section)
            .storeBytes(of: value, toByteOffset: variable.offset, as: Value.self)
    }

    /// What the compiler made of a structure; nil when the object's type information lacks it.
    public func layout(ofStruct name: String) -> TypeLayout? {
        BTF(of: handle)?.layout(ofStruct: name)
    }

    /// Creates the maps that were not reused and loads the programs. Nothing is pinned or attached.
    ///
    /// - Throws: `.rejectedByVerifier` with the end of its log, or libbpf's words; everything that
    ///   was created is gone again.
    public consuming func load() throws(BPFError) -> LoadedObject {
        let (result, text) = LibraryLog.capture { bpf_object__load(handle) }
        guard result < 0 else { return LoadedObject(self) }
        let errno = Errno(rawValue: -result)
        throw BPFError(
            text.contains("PROG LOAD LOG") ? .rejectedByVerifier : BPFError.Code(errno),
            errno: errno, action: "loading object \(name)", detail: text)
    }
}

extension BPFObject {
    func mapHandle(_ map: String) throws(BPFError) -> OpaquePointer {
        guard let found = bpf_object__find_map_by_name(handle, map) else {
            throw BPFError(.notFound, action: "finding map \(map) in object \(name)")
        }
        return found
    }

    func programHandle(_ program: String) throws(BPFError) -> OpaquePointer {
        guard let found = bpf_object__find_program_by_name(handle, program) else {
            throw BPFError(.notFound, action: "finding program \(program) in object \(name)")
        }
        return found
    }

    static func mapHandles(_ object: OpaquePointer) -> [OpaquePointer] {
        Array(
            sequence(state: OpaquePointer?.none) { last in
                last = bpf_object__next_map(object, last)
                return last
            })
    }

    static func programHandles(_ object: OpaquePointer) -> [OpaquePointer] {
        Array(
            sequence(state: OpaquePointer?.none) { last in
                last = bpf_object__next_program(object, last)
                return last
            })
    }

    static func mapName(_ map: OpaquePointer) -> String { String(cString: bpf_map__name(map)) }

    static func programName(_ program: OpaquePointer) -> String {
        String(cString: bpf_program__name(program))
    }
}
