// SPDX-License-Identifier: Apache-2.0

import SystemPackage
import Testing

@testable import BPF

struct WideKey: BitwiseCopyable {
    var first: UInt64
    var second: UInt32
    var third: UInt32
}

private func hash(_ capacity: Int, _ kind: MapInfo.Kind = .hash) throws -> HashMap<UInt64, UInt32> {
    try HashMap(
        BPFMap(creating: kind, name: "hash", keySize: 8, valueSize: 4, maxEntries: capacity))
}

@Suite("typed maps", .tags(.kernel))
struct MapTests {
    @Test(
        "what is written to a hash is read back, and deleting twice is success",
        arguments: [MapInfo.Kind.hash, .lruHash])
    func hashRoundTrip(kind: MapInfo.Kind) throws {
        let map = try hash(16, kind)
        try map.update(7, 70)
        #expect(try map.lookup(7) == 70)
        #expect(try map.lookup(8) == nil)
        #expect(try map.delete(7))
        #expect(try !map.delete(7))
        #expect(try map.count() == 0)
    }

    @Test("a full hash refuses the newcomer, says so, and keeps what it has")
    func fullHash() throws {
        let map = try hash(4)
        for key in 0..<4 { try map.update(UInt64(key), 1) }
        let error = #expect(throws: BPFError.self) { try map.update(99, 1) }
        #expect(error?.code == .mapFull)
        #expect(error?.action == "updating map hash")
        #expect(try Set(map.keys()) == [0, 1, 2, 3])
    }

    @Test(
        "elements as bytes: of hashes all, of arrays those that aren't zero, and no more than asked"
    )
    func elements() throws {
        let map = try hash(16)
        for key in 1...5 { try map.update(UInt64(key), UInt32(key) << 8) }
        let all = try map.map.elements(limit: 100, visits: 100)
        #expect(Set(all.map { $0.key[0] }) == [1, 2, 3, 4, 5])
        #expect(all.allSatisfy { $0.key.count == 8 && $0.value == [0, $0.key[0], 0, 0] })
        #expect(try map.map.elements(limit: 2, visits: 100).count == 2)
        let array = try BPFMap(
            creating: .array, name: "array", keySize: 4, valueSize: 8, maxEntries: 8)
        try updateElement(array, UInt32(3), UInt64(7), 0)
        let set = try array.elements(limit: 100, visits: 100)
        #expect(set.map(\.key) == [[3, 0, 0, 0]] && set[0].value[0] == 7)
        #expect(try array.elements(limit: 100, visits: 3).isEmpty)
        let counts = try BPFMap(
            creating: .perCPUArray, name: "counts", keySize: 4, valueSize: 4, maxEntries: 1)
        #expect(try counts.elements(limit: 100, visits: 100).isEmpty)
    }

    @Test("conditions hold: absent, present")
    func conditions() throws {
        let map = try hash(4)
        #expect(throws: BPFError.self) { try map.update(1, 1, .present) }
        try map.update(1, 1, .absent)
        let error = #expect(throws: BPFError.self) { try map.update(1, 2, .absent) }
        #expect(error?.code == .alreadyExists)
        #expect(try map.lookup(1) == 1)
    }

    @Test(
        "ten thousand elements go in, come out and go away in batches", arguments: [1, 100, 4096])
    func batches(batchSize: Int) throws {
        let map = try hash(10_000)
        try map.update(contentsOf: (0..<10_000).map { (key: UInt64($0), value: UInt32($0) * 2) })
        var seen: [UInt64: UInt32] = [:]
        try map.walk(batchSize: batchSize) { key, value in
            seen[key] = value
            return true
        }
        #expect(seen.count == 10_000)
        #expect(seen.allSatisfy { $0.value == UInt32($0.key) * 2 })
        // Keys that are absent, between those present, don't stop the batch.
        try map.delete((0..<12_000).map { UInt64($0) &* 7 % 12_000 })
        #expect(try map.count() == 0)
    }

    @Test("a batch that doesn't fit says how much of it was written")
    func overfullBatch() throws {
        let map = try hash(3)
        let failure = #expect(throws: BatchFailure.self) {
            try map.update(contentsOf: (0..<5).map { (key: UInt64($0), value: 1) })
        }
        #expect(failure?.error.code == .mapFull)
        #expect(failure?.error.detail == "3 of 5 elements were written")
        #expect(failure?.written == 3)
        #expect(try Set(map.keys()) == [0, 1, 2])
    }

    @Test("where the kernel has no batches, elements are written one by one, with the same outcome")
    func withoutBatches() throws {
        let map = try hash(3)
        let elements = (0..<5).map { (key: UInt64($0), value: UInt32(1)) }
        let failure = #expect(throws: BatchFailure.self) { try updateEach(map.map, elements) }
        #expect(failure?.written == 3 && failure?.error.code == .mapFull)
        #expect(try Set(map.keys()) == [0, 1, 2])
        for errno in [Errno.invalidArgument, .notSupported, Errno(rawValue: 524)] {
            #expect(lacksBatches(errno))
        }
        #expect(!lacksBatches(.argListTooLong))
    }

    @Test("a walk ends when its body says so")
    func stoppedWalk() throws {
        let map = try hash(64)
        for key in 0..<64 { try map.update(UInt64(key), 0) }
        var seen = 0
        try map.walk { _, _ in
            seen += 1
            return seen < 5
        }
        #expect(seen == 5)
    }

    @Test("a type of another size is refused with both numbers")
    func sizes() throws {
        func wrongKey() throws {
            _ = try HashMap<WideKey, UInt32>(
                BPFMap(creating: .hash, name: "narrow", keySize: 8, valueSize: 4, maxEntries: 1))
        }
        let error = #expect(throws: BPFError.self) { try wrongKey() }
        #expect(error?.code == .layoutMismatch)
        #expect(error?.description == "opening map narrow: its keys have 8 bytes, expected 16")
        func wrongValue() throws {
            _ = try ArrayMap<UInt64>(
                BPFMap(creating: .array, name: "array", keySize: 4, valueSize: 4, maxEntries: 1))
        }
        #expect(throws: BPFError.self) { try wrongValue() }
        func wrongKind() throws {
            _ = try HashMap<UInt32, UInt64>(
                BPFMap(creating: .array, name: "array", keySize: 4, valueSize: 8, maxEntries: 1))
        }
        #expect(throws: BPFError.self) { try wrongKind() }
    }

    @Test("the longest prefix wins, and each is listed with its own value")
    func longestPrefix() throws {
        struct Key: BitwiseCopyable {
            var length: UInt32
            var address: UInt32
        }
        let map = try LongestPrefixMap<Key, UInt32>(
            BPFMap(
                creating: .longestPrefix, name: "prefixes", keySize: 8, valueSize: 4,
                maxEntries: 3, flags: .noPreallocation))
        let ten = UInt32(0x0a00_0000).bigEndian
        let tenOne = UInt32(0x0a01_0000).bigEndian
        try map.update(Key(length: 8, address: ten), 8)
        try map.update(Key(length: 16, address: tenOne), 16)
        try map.update(Key(length: 0, address: 0), 0)
        #expect(try map.lookup(Key(length: 32, address: tenOne)) == 16)
        #expect(try map.lookup(Key(length: 32, address: ten)) == 8)
        #expect(try map.elements().map(\.value).sorted() == [0, 8, 16])
        let error = #expect(throws: BPFError.self) {
            try map.update(Key(length: 24, address: ten), 24)
        }
        #expect(error?.code == .mapFull)
        #expect(try map.delete(Key(length: 16, address: tenOne)))
        #expect(try map.lookup(Key(length: 32, address: tenOne)) == 8)
    }

    @Test("an array has every element from the start and no other")
    func array() throws {
        let map = try ArrayMap<UInt64>(
            BPFMap(creating: .array, name: "array", keySize: 4, valueSize: 8, maxEntries: 4))
        try map.update(3, 9)
        #expect(try map.lookup(3) == 9)
        #expect(try map.lookup(0) == 0)
        #expect(throws: BPFError.self) { try map.update(4, 1) }
    }

    @Test("a per-CPU array has one copy for each possible CPU")
    func perCPU() throws {
        let map = try PerCPUArrayMap<UInt32>(
            BPFMap(creating: .perCPUArray, name: "cpus", keySize: 4, valueSize: 4, maxEntries: 2))
        #expect(try map.lookup(1).count == map.cpus)
        #expect(try map.sum(1, 5) { $0 += $1 } == 5)
    }
}

@Suite("arrays in shared memory", .tags(.kernel))
struct MappedArrayTests {
    private struct Odd: BitwiseCopyable {
        var first: UInt32
        var second: UInt32
        var third: UInt32
    }

    @Test("a plain store is what the kernel then holds, elements 16 bytes apart for 12")
    func plainStores() throws {
        let folder = try PinFolder()
        let map = try BPFMap(
            creating: .array, name: "mapped", keySize: 4, valueSize: 12, maxEntries: 1000,
            flags: .mappable)
        try map.pin(at: "\(folder.path)/mapped")
        let shared = try MappedArray<Odd>(map)
        shared.store(
            [Odd(first: 1, second: 2, third: 3), Odd(first: 4, second: 5, third: 6)], at: 998)
        let seen = try ArrayMap<Odd>(BPFMap(pinnedAt: "\(folder.path)/mapped"))
        #expect(try seen.lookup(998).third == 3)
        #expect(try seen.lookup(999).first == 4)
        try seen.update(0, Odd(first: 7, second: 8, third: 9))
        #expect(shared[0].second == 8)
        #expect(shared.load(998..<1000).map(\.second) == [2, 5])
    }

    @Test("a published word is one element of the kernel's")
    func words() throws {
        let folder = try PinFolder()
        let map = try BPFMap(
            creating: .array, name: "words", keySize: 4, valueSize: 8, maxEntries: 4096,
            flags: .mappable)
        try map.pin(at: "\(folder.path)/words")
        let words = try MappedArray<UInt64>(map)
        words.publish(0x1122_3344_5566_7788, at: 4095)
        let seen = try ArrayMap<UInt64>(BPFMap(pinnedAt: "\(folder.path)/words"))
        #expect(try seen.lookup(4095) == 0x1122_3344_5566_7788)
        try seen.update(1, 5)
        #expect(words.word(at: 1) == 5)
    }

    @Test("an array that was not made to be mapped is refused")
    func notMappable() throws {
        func open() throws {
            _ = try MappedArray<UInt64>(
                BPFMap(creating: .array, name: "plain", keySize: 4, valueSize: 8, maxEntries: 1))
        }
        let error = #expect(throws: BPFError.self) { try open() }
        #expect(error?.code == .layoutMismatch)
    }
}
