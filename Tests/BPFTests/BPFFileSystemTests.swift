// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BPF

@Suite("finding file systems")
struct BPFFileSystemTests {
    private let mountInfo = """
        22 27 0:21 / /proc rw,relatime - proc proc rw
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 master:7 - cgroup2 cgroup2 rw
        42 27 0:39 / /srv/with\\040space rw - bpf bpf rw
        43 27 0:40 / /sys/fs/bpf rw - bpf bpf rw
        44 27 0:40 / /cut rw -
        """

    @Test(
        "mount points are found behind any number of optional fields, escapes undone",
        arguments: [
            ("cgroup2", ["/sys/fs/cgroup/unified"]), ("bpf", ["/srv/with space", "/sys/fs/bpf"]),
            ("nfs", []),
        ])
    func mountPoints(type: String, expected: [String]) {
        #expect(BPFFileSystem.mountPoints(ofType: type, in: mountInfo) == expected)
    }

    @Test("the kernel's own table names a BPF file system and a cgroup2 root", .tags(.kernel))
    func live() throws {
        #expect(try BPFFileSystem.mountPoint().hasPrefix("/"))
        _ = try Cgroup(path: try BPFFileSystem.cgroupRoot())
    }

    @Test("folders are made with those above them and removed with all they hold", .tags(.kernel))
    func folders() throws {
        let folder = try PinFolder()
        let deep = "\(folder.path)/one/two"
        try BPFFileSystem.makeDirectory(deep)
        try BPFFileSystem.makeDirectory(deep)
        let map = try BPFMap(
            creating: .array, name: "pinned", keySize: 4, valueSize: 4, maxEntries: 1)
        try map.pin(at: "\(deep)/pinned")
        #expect(try BPFFileSystem.names(in: deep) == ["pinned"])
        try BPFFileSystem.removeDirectory(folder.path)
        try BPFFileSystem.removeDirectory(folder.path)
        #expect(try BPFFileSystem.names(in: folder.path) == [])
    }

    @Test("an opened pin that is not there is not found")
    func missingPin() throws {
        let error = #expect(throws: BPFError.self) {
            _ = try BPFMap(pinnedAt: "/sys/fs/bpf/no-such-pin")
        }
        #expect(error?.code == .notFound)
    }
}

@Suite("what libbpf says")
struct LibraryLogTests {
    @Test("a long log keeps its end and says what it lost")
    func end() {
        let log = (1...100).map { "line \($0)" }.joined(separator: "\n")
        let lines = LibraryLog.end(of: log).split(separator: "\n")
        #expect(lines.first == "(68 lines omitted)")
        #expect(lines.last == "line 100")
        #expect(lines.count == LibraryLog.keptLines + 1)
        #expect(LibraryLog.end(of: "short\n") == "short")
    }
}
