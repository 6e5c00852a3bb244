// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshKubernetes
import MeshModel
import Testing

/// Reads a watcher's snapshots until one is as wanted.
private struct Reader: ~Copyable {
    let watcher: FolderWatcher
    private var iterator: AsyncStream<FolderSnapshot>.Iterator
    private(set) var seen: [FolderSnapshot] = []

    init(_ folder: TemporaryFolder) throws {
        watcher = try FolderWatcher(path: folder.path)
        iterator = watcher.snapshots.makeAsyncIterator()
    }

    /// The suite's time limit is the deadline.
    mutating func until(_ isWanted: (FolderSnapshot) -> Bool) async throws {
        while let snapshot = await iterator.next() {
            seen.append(snapshot)
            if isWanted(snapshot) { return }
        }
        throw Unexpected(description: "the watch ended")
    }

    mutating func untilServices(_ names: String...) async throws {
        try await until { names == services($0) }
    }
}

private func services(_ snapshot: FolderSnapshot) -> [String] {
    snapshot.records.keys.map(\.name).sorted()
}

@Suite("A watched folder", .timeLimit(.minutes(1)))
struct FolderWatcherTests {
    private let folder = TemporaryFolder()

    @Test("says at once what it holds, then what was written, replaced, renamed and removed")
    func changes() async throws {
        folder.write("a.yaml", service("a"))
        var reader = try Reader(folder)
        try await reader.untilServices("default/a")
        folder.write("b.yaml", service("b"))
        try await reader.untilServices("default/a", "default/b")
        folder.write("a.yaml", service("c"))
        try await reader.untilServices("default/b", "default/c")
        folder.replace("b.yaml", service("d"))
        try await reader.untilServices("default/c", "default/d")
        rename("\(folder.path)/b.yaml", "\(folder.path)/b.off")
        try await reader.untilServices("default/c")
        rename("\(folder.path)/b.off", "\(folder.path)/b.yaml")
        try await reader.untilServices("default/c", "default/d")
        folder.remove("a.yaml")
        try await reader.untilServices("default/d")
        folder.write("b.yaml", "{")
        try await reader.until { $0.problems.map(\.file) == ["b.yaml"] }
        #expect(services(try #require(reader.seen.last)) == ["default/d"])
    }

    @Test("never shows a file that is still being written")
    func halfWritten() async throws {
        folder.write("a.yaml", service("a") + service("b"))
        var reader = try Reader(folder)
        try await reader.untilServices("default/a", "default/b")
        let file = folder.open("a.yaml")
        folder.append(service("a"), to: file)
        // Other news while the file is open: it must come without the file's first half.
        folder.write("other.yaml", service("z"))
        try await reader.untilServices("default/a", "default/b", "default/z")
        folder.append(service("c"), to: file)
        close(file)
        try await reader.untilServices("default/a", "default/c", "default/z")
        #expect(reader.seen.count == 3)
    }

    @Test("follows links, also those that a volume of Kubernetes switches behind the files")
    func links() async throws {
        let first = TemporaryFolder()
        let second = TemporaryFolder()
        first.write("a.yaml", service("a"))
        second.write("a.yaml", service("b"))
        symlink(first.path, "\(folder.path)/..data")
        symlink("..data/a.yaml", "\(folder.path)/a.yaml")
        var reader = try Reader(folder)
        try await reader.untilServices("default/a")
        symlink(second.path, "\(folder.path)/..data_tmp")
        rename("\(folder.path)/..data_tmp", "\(folder.path)/..data")
        try await reader.untilServices("default/b")
        link("\(first.path)/a.yaml", "\(folder.path)/hard.yaml")
        try await reader.untilServices("default/a", "default/b")
        symlink("\(first.path)/none.yaml", "\(folder.path)/dangling.yaml")
        folder.write("c.yaml", service("c"))
        try await reader.untilServices("default/a", "default/b", "default/c")
        #expect(reader.seen.last?.problems == [])
    }

    @Test("shows the last of many changes, however many there are")
    func burst() async throws {
        var reader = try Reader(folder)
        for number in 0..<300 { folder.write("\(number).yaml", service("s\(number)")) }
        try await reader.until { $0.records.count == 300 }
        for number in 0..<299 { folder.remove("\(number).yaml") }
        try await reader.untilServices("default/s299")
    }

    @Test("keeps what it said when it is moved away, and is found again when it is back")
    func loss() async throws {
        folder.write("a.yaml", service("a"))
        var reader = try Reader(folder)
        try await reader.untilServices("default/a")
        rename(folder.path, "\(folder.path)-away")
        try await reader.until { $0.problems.map(\.file) == [""] }
        #expect(services(try #require(reader.seen.last)) == ["default/a"])
        #expect(
            reader.seen.last?.problems.first?.message
                == "folder \(folder.path) does not exist; create it, or name another one; what it "
                + "last said stays in force")
        rename("\(folder.path)-away", folder.path)
        try await reader.until { $0.problems == [] }
        folder.write("b.yaml", service("b"))
        try await reader.untilServices("default/a", "default/b")
    }

    @Test("that isn't there, or is a file, is a clear error")
    func missing() {
        #expect(throws: FolderError.self) { try FolderWatcher(path: "\(folder.path)/none") }
        folder.write("file", "")
        #expect {
            try FolderWatcher(path: "\(folder.path)/file")
        } throws: { error in
            "\(error)".hasSuffix("is not a folder; name the folder that holds the manifests")
        }
    }

    @Test("is no longer watched after stop")
    func stop() async throws {
        let watcher = try FolderWatcher(path: folder.path)
        watcher.stop()
        var count = 0
        for await _ in watcher.snapshots { count += 1 }
        #expect(count <= 1)
    }
}
