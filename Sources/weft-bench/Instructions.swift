// SPDX-License-Identifier: Apache-2.0

/// Instructions of the kernel's machine, `struct bpf_insn` as one number each.
/// <https://www.kernel.org/doc/html/latest/bpf/standardization/instruction-set.html>
struct Instructions {
    enum Width: UInt8 {
        case word = 0x00
        case half = 0x08
        case byte = 0x10
        case double = 0x18
    }

    /// Numbers of helpers in `enum bpf_func_id`.
    enum Helper: Int32 {
        case mapLookup = 1
        case tailCall = 12
        case setTunnelKey = 21
        case setTunnelOption = 30
    }

    private(set) var code: [UInt64] = []
    /// Jumps to the end, which are known when the end is.
    private var exits: [Int] = []

    private mutating func add(
        _ operation: UInt8, _ destination: UInt8 = 0, _ source: UInt8 = 0, offset: Int16 = 0,
        _ immediate: Int32 = 0
    ) {
        code.append(
            UInt64(operation) | UInt64(source << 4 | destination) << 8
                | UInt64(UInt16(bitPattern: offset)) << 16
                | UInt64(UInt32(bitPattern: immediate)) << 32)
    }

    mutating func copy(_ destination: UInt8, from source: UInt8) { add(0xbf, destination, source) }
    mutating func set(_ destination: UInt8, to value: Int32) { add(0xb7, destination, value) }
    mutating func add(_ value: Int32, to destination: UInt8) { add(0x07, destination, value) }
    mutating func mask(_ destination: UInt8, _ value: Int32) { add(0x57, destination, value) }

    mutating func load(_ width: Width, _ destination: UInt8, from base: UInt8, _ offset: Int16) {
        add(0x61 | width.rawValue, destination, base, offset: offset)
    }
    mutating func store(_ width: Width, _ source: UInt8, to base: UInt8, _ offset: Int16) {
        add(0x63 | width.rawValue, base, source, offset: offset)
    }
    mutating func store(_ width: Width, value: Int32, to base: UInt8, _ offset: Int16) {
        add(0x62 | width.rawValue, base, 0, offset: offset, value)
    }

    /// - Parameter isValue: the address of an array's first element instead of the map.
    mutating func map(_ destination: UInt8, descriptor: Int32, isValue: Bool = false) {
        add(0x18, destination, isValue ? 2 : 1, descriptor)
        add(0x00, 0)
    }

    mutating func call(_ helper: Helper) { add(0x85, 0, helper.rawValue) }

    mutating func exitIfGreater(_ left: UInt8, than right: UInt8) {
        exits.append(code.count)
        add(0x2d, left, right)
    }
    mutating func exitIfZero(_ register: UInt8) {
        exits.append(code.count)
        add(0x15, register)
    }

    mutating func finish(returning value: Int32) {
        set(0, to: value)
        add(0x95)
    }

    /// Where the exits lead.
    mutating func finishExits(returning value: Int32) {
        for index in exits {
            code[index] |= UInt64(UInt16(code.count - index - 1)) << 16
        }
        exits = []
        finish(returning: value)
    }
}

extension Instructions {
    private mutating func add(_ operation: UInt8, _ destination: UInt8, _ immediate: Int32) {
        add(operation, destination, 0, immediate)
    }
}
