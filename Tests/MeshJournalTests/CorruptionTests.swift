// SPDX-License-Identifier: Apache-2.0

import MeshJournal
import MeshModel
import MeshSimulation
import Testing

/// Files that something else than a power cut has changed.
@Suite("a damaged file")
struct CorruptionTests {
    let folder = TemporaryFolder()
    let script = Workload.script(seed: 7, count: 50)

    /// A file that was closed in good order, and what it holds.
    private func intact() throws -> [UInt8] {
        let opening = try Journal.open(folder.database, durability: .full)
        for transaction in script { try opening.journal.write(transaction) }
        try opening.journal.close()
        return folder.read("own.db")
    }

    /// Opens `files`: true if they held `expected`, false if they were set aside and a working
    /// journal took their place.
    private func survives(_ files: [String: [UInt8]], _ expected: [Picture], _ what: Comment) throws
        -> Bool
    {
        folder.write(files)
        let opening = try Journal.open(folder.database, durability: .full)
        defer { #expect(throws: Never.self) { try opening.journal.close() } }
        try opening.journal.write(JournalTransaction(notes: [JournalNote("alive", [1])]))
        switch opening.outcome {
        case .opened:
            #expect(expected.contains(Picture(opening)), what)
            return true
        case .setAside(let path, let reason):
            #expect(Picture(opening) == Picture(), what)
            #expect(path == folder.database + ".damaged-1" && !reason.isEmpty, what)
            #expect(folder.names.contains("own.db.damaged-1"), what)
            return false
        case .created:
            #expect(files["own.db"] == [] && Picture(opening) == Picture(), what)
            return false
        }
    }

    @Test("with a bit flipped is restored exactly or set aside")
    func flips() throws {
        let file = try intact()
        let expected = try #require(pictures(script).last)
        var random = SeededGenerator(seed: 8)
        // Every byte of the header, then samples of all pages.
        let places =
            Array(0..<128)
            + (0..<600).map { _ in Int.random(in: 0..<file.count, using: &random) }
        var restored = 0
        for place in places {
            var damaged = file
            damaged[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
            if try survives(["own.db": damaged], [expected], "byte \(place)") { restored += 1 }
        }
        // Much of this file is free pages, where a bit means nothing.
        #expect((1..<places.count).contains(restored))
    }

    @Test(
        "is known by any bit of a value, which SQLite's own check doesn't read",
        arguments: ["checkpoint", "bucket", "log entry", "note"])
    func values(kind: String) throws {
        func value(_ of: String) -> [UInt8] { [UInt8]("the value of the \(of)".utf8) }
        let opening = try Journal.open(folder.database, durability: .full)
        let position = Position(epoch: 1, revision: 1)
        try opening.journal.write(
            JournalTransaction(
                checkpoints: [
                    JournalCheckpoint(
                        owner: cluster(1), position: position, header: value("checkpoint"),
                        buckets: [JournalBucket(index: 1, bytes: value("bucket"))],
                        replacesAll: true)
                ],
                batches: [
                    JournalBatch(
                        owner: cluster(1), position: position.next, message: value("log entry"))
                ],
                notes: [JournalNote("key", value("note"))]))
        try opening.journal.close()
        let file = folder.read("own.db")
        let wanted = value(kind)
        let start = try #require(
            file.indices.first { file[$0...].starts(with: wanted) }, "the value is in the file")
        for place in start..<start + wanted.count {
            for bit in 0..<8 {
                var damaged = file
                damaged[place] ^= 1 << bit
                folder.write(["own.db": damaged])
                let opening = try Journal.open(folder.database, durability: .full)
                try opening.journal.close()
                #expect(
                    opening.outcome
                        == .setAside(
                            path: folder.database + ".damaged-1",
                            reason: "a \(kind) is not as it was written"))
            }
        }
    }

    @Test("cut short anywhere is restored exactly or set aside")
    func truncations() throws {
        let file = try intact()
        let expected = try #require(pictures(script).last)
        var restored = 0
        for count in stride(from: 0, to: file.count, by: 1021) {
            let files = ["own.db": Array(file.prefix(count))]
            if try survives(files, [expected], "\(count) bytes") { restored += 1 }
        }
        // The last pages are free ones.
        #expect(restored < 10)
    }

    @Test("overwritten by a sector of something else is restored exactly or set aside")
    func sectors() throws {
        let file = try intact()
        let expected = try #require(pictures(script).last)
        var random = SeededGenerator(seed: 9)
        for start in stride(from: 0, to: file.count, by: 512) {
            var damaged = file
            let source = Int.random(in: 0..<file.count / 512, using: &random) * 512
            damaged.replaceSubrange(start..<start + 512, with: file[source..<source + 512])
            guard damaged != file else { continue }
            _ = try survives(["own.db": damaged], [expected], "sector \(source) at \(start)")
        }
    }

    @Test("whose log is flipped or cut short gives a beginning of what was written")
    func logs() throws {
        let opening = try Journal.open(folder.database, durability: .full)
        for transaction in script.prefix(20) { try opening.journal.write(transaction) }
        // As after a crash: copied while the log is still there.
        let files = folder.readAll()
        try opening.journal.close()
        let log = try #require(files["own.db-wal"])
        let expected = pictures(Array(script.prefix(20)))
        var random = SeededGenerator(seed: 10)
        for _ in 0..<300 {
            var damaged = files
            let place = Int.random(in: 0..<log.count, using: &random)
            if random.chance(0.2) {
                damaged["own.db-wal"]?.removeLast(log.count - place)
            } else {
                damaged["own.db-wal"]?[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
            }
            folder.write(damaged)
            let opening = try Journal.open(folder.database, durability: .full)
            #expect(expected.contains(Picture(opening)), "byte \(place)")
            try opening.journal.close()
        }
    }

    @Test("is set aside, and the newest two are kept")
    func setAside() throws {
        for round in 1...4 {
            folder.write("own.db", [UInt8](repeating: UInt8(round), count: 5000))
            let opening = try Journal.open(folder.database, durability: .full)
            guard case .setAside(let path, let reason) = opening.outcome else {
                Issue.record("\(opening.outcome)")
                return
            }
            #expect(path == folder.database + ".damaged-\(round)")
            #expect(reason.contains("not a database"))
            try opening.journal.close()
        }
        #expect(folder.names == ["own.db", "own.db.damaged-3", "own.db.damaged-4"])
        #expect(folder.read("own.db.damaged-3").first == 3)
    }
}
