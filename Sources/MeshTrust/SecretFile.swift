// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Files that hold keys: mode 0600, in a directory of mode 0700, complete or absent, and on disk
/// before they are used.
enum SecretFile {
    static let bytesMaximum = 256 * 1024
    private static let fileMode: mode_t = 0o600
    private static let directoryMode: mode_t = 0o700

    enum Existing { case keep, replace }

    /// Writes a temporary file, syncs it, gives it its name, syncs the directory.
    ///
    /// - Throws: ``TrustError/alreadyExists(path:)`` with `.keep`. On any error the previous file,
    ///   or its absence, is unchanged.
    static func write(
        _ text: String, named name: String, in directory: String, existing: Existing
    ) throws(TrustError) {
        try makeDirectory(directory)
        let path = "\(directory)/\(name)"
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).new"
        let descriptor = try call("create", temporary) {
            open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, fileMode)
        }
        defer { unlink(temporary) }  // fails once it has been renamed, as it should
        do throws(TrustError) {
            try writeAll(Array(text.utf8), to: descriptor, path: temporary)
            _ = try call("sync", temporary) { fsync(descriptor) }
        } catch {
            close(descriptor)
            throw error
        }
        _ = try call("close", temporary) { close(descriptor) }
        switch existing {
        case .replace:
            _ = try call("rename", temporary) { rename(temporary, path) }
        case .keep:
            // link(2) is the rename that refuses to replace.
            guard link(temporary, path) == 0 else {
                throw errno == EEXIST
                    ? .alreadyExists(path: path)
                    : .file(operation: "create", path: path, errno: errno)
            }
        }
        try sync(directory: directory)
    }

    /// - Throws: ``TrustError/exposed(path:mode:required:)`` or ``TrustError/wrongOwner(path:owner:)``
    ///   before a byte is read, when anybody else could read or replace the file.
    static func read(named name: String, in directory: String) throws(TrustError) -> String {
        let path = "\(directory)/\(name)"
        let folder = try call("open", directory) {
            open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        defer { close(folder) }
        try check(folder, path: directory, required: directoryMode)
        let descriptor = try call("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        defer { close(descriptor) }
        let size = try check(descriptor, path: path, required: fileMode)
        guard (1...bytesMaximum).contains(size) else {
            throw .unusableFile(path: path, reason: "it has \(size) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: size)
        let count = try call("read", path) {
            Int32(truncatingIfNeeded: Glibc.read(descriptor, &bytes, size))
        }
        guard count == size, let text = String(validating: bytes, as: UTF8.self) else {
            throw .unusableFile(path: path, reason: "it changed while being read, or isn't text")
        }
        return text
    }

    /// Whether there is such a file, readable or not.
    static func exists(named name: String, in directory: String) throws(TrustError) -> Bool {
        let path = "\(directory)/\(name)"
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return false }
            throw .file(operation: "inspect", path: path, errno: errno)
        }
        return true
    }

    /// Takes a file away for good.
    static func remove(named name: String, in directory: String) throws(TrustError) {
        let path = "\(directory)/\(name)"
        _ = try call("remove", path) { unlink(path) }
        try sync(directory: directory)
    }

    /// Takes a directory of such files away for good; nothing if there is none. Only files lie in it.
    static func removeDirectory(_ path: String) throws(TrustError) {
        guard let folder = opendir(path) else {
            if errno == ENOENT { return }
            throw .file(operation: "list", path: path, errno: errno)
        }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) {
                    String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        closedir(folder)
        for name in names {
            _ = try call("remove", "\(path)/\(name)") { unlink("\(path)/\(name)") }
        }
        _ = try call("remove", path) { rmdir(path) }
        try sync(directory: path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".")
    }

    /// Creates the directory with mode 0700; an existing one must be as closed.
    static func makeDirectory(_ path: String) throws(TrustError) {
        if mkdir(path, directoryMode) != 0 && errno != EEXIST {
            throw .file(operation: "create directory", path: path, errno: errno)
        }
        let folder = try call("open", path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(folder) }
        try check(folder, path: path, required: directoryMode)
    }

    @discardableResult
    private static func check(
        _ descriptor: Int32, path: String, required: mode_t
    ) throws(TrustError) -> Int {
        var status = stat()
        _ = try call("inspect", path) { fstat(descriptor, &status) }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw .wrongOwner(path: path, owner: status.st_uid)
        }
        guard status.st_mode & 0o7777 & ~required == 0 else {
            throw .exposed(path: path, mode: status.st_mode & 0o7777, required: required)
        }
        return Int(status.st_size)
    }

    private static func sync(directory: String) throws(TrustError) {
        let folder = try call("open", directory) {
            open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        defer { close(folder) }
        _ = try call("sync", directory) { fsync(folder) }
    }

    private static func writeAll(
        _ bytes: [UInt8], to descriptor: Int32, path: String
    ) throws(TrustError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = try call("write", path) {
                Int32(
                    truncatingIfNeeded: rest.withUnsafeBytes {
                        Glibc.write(descriptor, $0.baseAddress, $0.count)
                    })
            }
            rest = rest.dropFirst(Int(count))
        }
    }

    private static func call(
        _ operation: String, _ path: String, _ body: () -> Int32
    ) throws(TrustError) -> Int32 {
        while true {
            let result = body()
            if result >= 0 { return result }
            guard errno == EINTR else {
                throw .file(operation: operation, path: path, errno: errno)
            }
        }
    }
}
