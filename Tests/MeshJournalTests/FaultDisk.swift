// SPDX-License-Identifier: Apache-2.0

import CFaultDisk
import Glibc
import MeshSimulation

/// A disk that follows SQLite's trace, and what a power cut leaves of it: what was synced, and of
/// the rest a random part, in 512-byte sectors and in any order.
struct FaultDisk {
    private enum Change {
        case write(Int, [UInt8])
        case truncate(Int)
    }

    private struct File {
        var synced: [UInt8] = []
        /// Since the last sync, oldest first.
        var pending: [Change] = []
    }

    /// What a name may stand for; nil is nothing.
    private struct Entry {
        var synced: Int?
        var pending: [Int?] = []

        var current: Int? { pending.last ?? synced }
    }

    private var files: [File] = []
    private var entries: [String: Entry] = [:]

    /// All of it synced.
    init(_ contents: [String: [UInt8]]) {
        for (name, bytes) in contents {
            entries[name] = Entry(synced: files.count)
            files.append(File(synced: bytes))
        }
    }

    mutating func apply(_ operation: fault_operation) {
        let name = withUnsafeBytes(of: operation.name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if operation.kind == FAULT_CREATE {
            entries[name, default: Entry()].pending.append(files.count)
            files.append(File())
            return
        }
        guard let entry = entries[name], let file = entry.current else { return }
        switch operation.kind {
        case FAULT_WRITE:
            let bytes = UnsafeBufferPointer(start: operation.bytes, count: Int(operation.length))
            files[file].pending.append(.write(Int(operation.offset), [UInt8](bytes)))
        case FAULT_TRUNCATE:
            files[file].pending.append(.truncate(Int(operation.offset)))
        case FAULT_SYNC:
            for change in files[file].pending { Self.make(change, &files[file].synced) }
            files[file].pending = []
            if !entry.pending.isEmpty { syncEntries() }
        default:
            entries[name]?.pending.append(nil)
            if operation.durable { syncEntries() }
        }
    }

    private mutating func syncEntries() {
        for name in entries.keys {
            entries[name] = Entry(synced: entries[name]?.current)
        }
    }

    /// - Parameter seed: 0 loses all that wasn't synced, 1 keeps it; the others choose.
    func survivors(seed: UInt64) -> [String: [UInt8]] {
        var random = SeededGenerator(seed: seed)
        var contents: [String: [UInt8]] = [:]
        for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
            let kept = Self.share(seed, &random)
            let candidates = entry.pending.filter { _ in random.chance(kept) }
            guard let index = candidates.last ?? entry.synced else { continue }
            var bytes = files[index].synced
            for change in files[index].pending {
                Self.makePart(of: change, kept, &random, &bytes)
            }
            contents[name] = bytes
        }
        return contents
    }

    private static func share(_ seed: UInt64, _ random: inout SeededGenerator) -> Double {
        switch seed {
        case 0: 0
        case 1: 1
        default: [0.1, 0.5, 0.9][Int.random(in: 0..<3, using: &random)]
        }
    }

    private static func makePart(
        of change: Change, _ kept: Double, _ random: inout SeededGenerator, _ file: inout [UInt8]
    ) {
        guard case .write(let offset, let bytes) = change, kept < 1 else {
            if random.chance(kept) { make(change, &file) }
            return
        }
        var start = offset
        while start < offset + bytes.count {
            let end = min(offset + bytes.count, (start / 512 + 1) * 512)
            if random.chance(kept) { write(bytes, offset, start, end, &file) }
            start = end
        }
    }

    private static func make(_ change: Change, _ file: inout [UInt8]) {
        switch change {
        case .truncate(let count): resize(count, &file)
        case .write(let offset, let bytes):
            write(bytes, offset, offset, offset + bytes.count, &file)
        }
    }

    /// What belongs to `start..<end` of the file, of bytes that begin at `offset`.
    private static func write(
        _ bytes: [UInt8], _ offset: Int, _ start: Int, _ end: Int, _ file: inout [UInt8]
    ) {
        if file.count < end { resize(end, &file) }
        file.withUnsafeMutableBytes { file in
            bytes.withUnsafeBytes { bytes in
                _ = memcpy(
                    file.baseAddress! + start, bytes.baseAddress! + (start - offset), end - start)
            }
        }
    }

    /// What a file grows by and nobody wrote is zero.
    private static func resize(_ count: Int, _ file: inout [UInt8]) {
        if count < file.count {
            file.removeLast(file.count - count)
        } else {
            file += [UInt8](repeating: 0, count: count - file.count)
        }
    }
}

extension FaultDisk {
    /// What SQLite asked of the disk for the files of `folder` while `body` ran.
    static func trace(_ folder: TemporaryFolder, logPages: Int32, _ body: () throws -> Void) throws
        -> [fault_operation]
    {
        _ = fault_disk_log_pages(logPages)
        _ = fault_disk_begin(folder.path)
        try body()
        return (0..<fault_disk_count()).map { fault_disk_at($0).pointee }
    }
}
