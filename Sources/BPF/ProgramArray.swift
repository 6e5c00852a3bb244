// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// An array of programs that other programs jump to (`BPF_MAP_TYPE_PROG_ARRAY`).
public struct ProgramArray: ~Copyable, Sendable {
    public let map: BPFMap
    public var count: Int { Int(map.info.maxEntries) }

    /// - Throws: ``BPFError`` `.layoutMismatch` when it is a map of another kind.
    public init(_ map: consuming BPFMap) throws(BPFError) {
        try map.require([.programArray], keySize: 4, valueSize: 4)
        self.init(checked: map)
    }

    private init(checked map: consuming BPFMap) { self.map = map }

    /// Lets jumps to `index` lead to `program`, which the map keeps loaded.
    ///
    /// - Throws: ``BPFError`` when the kernel takes the program for incompatible with those there.
    public func update(_ index: Int, to program: borrowing Program) throws(BPFError) {
        try updateElement(map, UInt32(clamping: index), program.descriptor.rawValue, 0)
    }
}
