// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import MeshLab
import MeshModel

/// The datapath of a node, loaded and attached to nothing, with two endpoints and a stream of TCP
/// packets between them, one on each of ``connections`` connections in turn.
///
/// A test run repeats one packet. So a driver program runs first: it gives the packet the next
/// connection's port, repairs what the last run left (hop limit, checksum), attaches the metadata of
/// a tunnel where one is needed, and jumps to the program that is measured.
struct ProgramWorld: ~Copyable {
    /// A power of two.
    static let connections = 16_384
    static let programs = ["weft_from_endpoint", "weft_from_overlay"]
    static let actionDrop: UInt32 = 2
    static let actionRedirect: UInt32 = 7
    private static let firstPort: UInt16 = 16_384
    static let localAddress = Address(ipv4: 0x0a01_0002)
    static let remoteAddress = Address(ipv4: 0x0a02_0002)
    static let outerAddress: UInt32 = 0xc000_0202
    static let loopback: UInt32 = 1

    enum Direction {
        /// From the local endpoint to the remote one.
        case out
        /// Back, out of the overlay.
        case back
    }

    let object: LoadedObject
    private let jumps: ProgramArray
    private let turn: BPFMap
    private let table: HashMap<weft_connection_key, weft_connection>
    private let empty: Program
    private let lookup: Program

    init() throws {
        let object = try BPFObject(
            bytes: UnsafeRawBufferPointer(
                start: weft_object_bytes(), count: Int(weft_object_size())),
            name: "weft")
        for name in object.programNames where !Self.programs.contains(name) {
            try object.setAutoload(false, program: name)
        }
        try object.setConstant(Self.configuration, named: "weft_config")
        let loaded = try object.load()
        try Self.populate(loaded)
        let jumps = try ProgramArray(
            BPFMap(creating: .programArray, name: "jumps", keySize: 4, valueSize: 4, maxEntries: 1))
        let turn = try BPFMap(
            creating: .array, name: "turn", keySize: 4, valueSize: 8, maxEntries: 1)
        let empty = try Program(
            loading: Self.emptyProgram, kind: .trafficControl, name: "empty")
        let table = try loaded.map(named: "weft_connections")
        let lookup = try Program(
            loading: Self.lookupProgram(table.descriptor.rawValue), kind: .trafficControl,
            name: "lookup")
        self.init(
            object: loaded, jumps: jumps, turn: turn, table: try HashMap(table), empty: empty,
            lookup: lookup)
    }

    private init(
        object: consuming LoadedObject, jumps: consuming ProgramArray, turn: consuming BPFMap,
        table: consuming HashMap<weft_connection_key, weft_connection>,
        empty: consuming Program, lookup: consuming Program
    ) {
        self.table = table
        self.object = object
        self.jumps = jumps
        self.turn = turn
        self.empty = empty
        self.lookup = lookup
    }

    // MARK: runs

    /// What the driver alone takes, with an empty program behind it.
    func runEmpty(_ direction: Direction, repetitions: Int) throws -> TestRun {
        try jumps.update(0, to: empty)
        return try run(direction, repetitions)
    }

    /// One lookup of the packet's connection, nothing else.
    func runLookup(repetitions: Int) throws -> TestRun {
        try jumps.update(0, to: lookup)
        return try run(.out, repetitions)
    }

    func run(_ name: String, _ direction: Direction, repetitions: Int) throws -> TestRun {
        try jumps.update(0, to: try object.program(named: name))
        return try run(direction, repetitions)
    }

    /// The empty program without a driver.
    func runBare(repetitions: Int) throws -> TestRun {
        try empty.testRun(data: Self.packet(.out), repetitions: repetitions)
    }

    func connectionCount() throws -> Int { try table.count() }

    private func run(_ direction: Direction, _ repetitions: Int) throws -> TestRun {
        let driver = try Program(
            loading: driver(direction), kind: .trafficControl, name: "driver")
        return try driver.testRun(data: Self.packet(direction), repetitions: repetitions)
    }

    // MARK: programs

    private static let emptyProgram: [UInt64] = {
        var program = Instructions()
        program.finish(returning: 0)
        return program.code
    }()

    /// Offsets in `struct __sk_buff`.
    private static let dataOffset: Int16 = 76
    private static let dataEndOffset: Int16 = 80
    /// Offsets in the packet: Ethernet, IPv4 without options, TCP.
    private static let hopLimitOffset: Int16 = 22
    private static let protocolOffset: Int16 = 23
    static let checksumOffset: Int16 = 24
    private static let sourceOffset: Int16 = 26
    private static let destinationOffset: Int16 = 30
    private static let sourcePortOffset: Int16 = 34
    private static let destinationPortOffset: Int16 = 36
    private static let headersLength: Int32 = 54
    static let hopLimit: UInt8 = 64

    /// As `bpf/tests/baseline.c`: builds a `struct weft_connection_key` of IPv4 on the stack.
    private static func lookupProgram(_ connections: Int32) -> [UInt64] {
        var program = Instructions()
        program.load(.word, 2, from: 1, dataOffset)
        program.load(.word, 3, from: 1, dataEndOffset)
        program.copy(4, from: 2)
        program.add(headersLength, to: 4)
        program.exitIfGreater(4, than: 3)
        let mapped = Int32(bitPattern: UInt32(0x0000_ffff).bigEndian)
        for (key, packet) in [(Int16(-40), sourceOffset), (-24, destinationOffset)] {
            program.store(.double, value: 0, to: 10, key)
            program.store(.word, value: mapped, to: 10, key + 8)
            program.load(.word, 4, from: 2, packet)
            program.store(.word, 4, to: 10, key + 12)
        }
        for (key, packet) in [(Int16(-8), sourcePortOffset), (-6, destinationPortOffset)] {
            program.load(.half, 4, from: 2, packet)
            program.store(.half, 4, to: 10, key)
        }
        program.load(.byte, 4, from: 2, protocolOffset)
        program.store(.byte, 4, to: 10, -4)
        program.store(.byte, value: 0, to: 10, -3)
        program.store(.half, value: 0, to: 10, -2)
        program.map(1, descriptor: connections)
        program.copy(2, from: 10)
        program.add(-40, to: 2)
        program.call(.mapLookup)
        program.exitIfZero(0)
        program.finish(returning: 0)
        program.finishExits(returning: Int32(actionDrop))
        return program.code
    }

    private func driver(_ direction: Direction) -> [UInt64] {
        var program = Instructions()
        program.copy(6, from: 1)
        program.load(.word, 2, from: 6, Self.dataOffset)
        program.load(.word, 3, from: 6, Self.dataEndOffset)
        program.copy(4, from: 2)
        program.add(Self.headersLength, to: 4)
        program.exitIfGreater(4, than: 3)
        program.map(5, descriptor: turn.descriptor.rawValue, isValue: true)
        program.load(.double, 4, from: 5, 0)
        program.add(1, to: 4)
        program.store(.double, 4, to: 5, 0)
        program.mask(4, Int32(Self.connections - 1))
        program.add(Int32(Self.firstPort), to: 4)
        program.store(
            .half, 4, to: 2,
            direction == .out ? Self.sourcePortOffset : Self.destinationPortOffset)
        program.store(.byte, value: Int32(Self.hopLimit), to: 2, Self.hopLimitOffset)
        let checksum = Self.packet(direction)[Int(Self.checksumOffset)...].prefix(2)
        program.store(
            .half, value: checksum.reversed().reduce(0) { $0 << 8 | Int32($1) }, to: 2,
            Self.checksumOffset)
        if direction == .back { attachTunnel(&program) }
        program.copy(1, from: 6)
        program.map(2, descriptor: jumps.map.descriptor.rawValue)
        program.set(3, to: 0)
        program.call(.tailCall)
        program.finishExits(returning: -1)
        return program.code
    }

    /// `struct bpf_tunnel_key` of 44 bytes with identifier and IPv4 source, and the group policy.
    /// What a sender writes as its own address is what a receiver reads as the other's.
    private func attachTunnel(_ program: inout Instructions) {
        let identity = Self.identity(cluster: 2)
        for offset in stride(from: Int16(-48), to: -8, by: 8) {
            program.store(.double, value: 0, to: 10, offset)
        }
        program.store(.word, value: 0, to: 10, -8)
        program.store(.word, value: Int32(identity & 0xff_ffff), to: 10, -48)
        program.store(.word, value: Int32(bitPattern: Self.outerAddress), to: 10, -20)
        program.copy(1, from: 6)
        program.copy(2, from: 10)
        program.add(-48, to: 2)
        program.set(3, to: 44)
        program.set(4, to: 0)
        program.call(.setTunnelKey)
        program.store(.word, value: Int32(0x8000 | identity >> 24), to: 10, -48)
        program.copy(1, from: 6)
        program.copy(2, from: 10)
        program.add(-48, to: 2)
        program.set(3, to: 4)
        program.call(.setTunnelOption)
    }
}
