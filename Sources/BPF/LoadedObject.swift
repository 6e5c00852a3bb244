// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// An object whose maps and programs are in the kernel, until this value and every ``Program``,
/// ``BPFMap``, link and pin made from it are gone.
public struct LoadedObject: ~Copyable {
    private let object: BPFObject

    init(_ object: consuming BPFObject) { self.object = object }

    public var mapNames: [String] { object.mapNames }
    public var programNames: [String] { object.programNames }

    /// - Throws: ``BPFError`` `.notFound` when the object has none of that name, or did not load it.
    public func program(named name: String) throws(BPFError) -> Program {
        let handle = try object.programHandle(name)
        let number = bpf_program__fd(handle)
        guard number >= 0 else {
            throw BPFError(.notFound, action: "using program \(name)", detail: "it is not loaded")
        }
        return Program(
            name: name, descriptor: try OwnedDescriptor.duplicate(of: number),
            attachType: UInt32(bpf_program__expected_attach_type(handle).rawValue))
    }

    public func map(named name: String) throws(BPFError) -> BPFMap {
        let handle = try object.mapHandle(name)
        return try BPFMap(
            descriptor: try OwnedDescriptor.duplicate(of: bpf_map__fd(handle)), name: name)
    }

    /// Pins every map under its name in `directory`, except those pinned there already.
    ///
    /// - Throws: what refused; pins that this call made are removed again.
    public func pinMaps(in directory: String) throws(BPFError) {
        var pinned: [String] = []
        for name in mapNames {
            let path = "\(directory)/\(name)"
            guard access(path, F_OK) != 0 else { continue }
            do {
                try map(named: name).pin(at: path)
                pinned.append(path)
            } catch {
                for path in pinned { unlink(path) }
                throw error
            }
        }
    }
}
