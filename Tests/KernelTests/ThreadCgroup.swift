// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import KernelTestSupport

/// A threaded cgroup that this thread is in, below that of the process, until the value goes, which
/// must be on the same thread.
///
/// A socket belongs for ever to the cgroup of the thread that made it.
final class ThreadCgroup {
    let path: String
    private let parent: String

    init(name: String) throws {
        parent = try BPFFileSystem.cgroupRoot() + Self.ownGroup()
        path = parent + "/kernel-tests-\(getpid())-\(name)"
        guard mkdir(path, 0o755) == 0 else { throw SystemFailure(errno) }
        try Self.write("threaded", to: path + "/cgroup.type")
        try Self.write(Self.thisThread, to: path + "/cgroup.threads")
    }

    deinit {
        // Whatever refuses here would be seen as a folder left behind.
        try? Self.write(Self.thisThread, to: parent + "/cgroup.threads")
        rmdir(path)
    }

    /// As cgroup.threads wants it.
    private static let thisThread = "0"

    /// The process's cgroup of the version 2 hierarchy, empty for its root.
    private static func ownGroup() throws -> String {
        guard let file = fopen("/proc/self/cgroup", "r") else { throw SystemFailure(errno) }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let bytes = line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.hasPrefix("0::") else { continue }
            let path = text.dropFirst(3).filter { $0 != "\n" }
            return path == "/" ? "" : String(path)
        }
        throw SystemFailure(ENOENT)
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY)
        guard descriptor >= 0 else { throw SystemFailure(errno) }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, text, text.utf8.count) >= 0
        else { throw SystemFailure(errno) }
    }
}
