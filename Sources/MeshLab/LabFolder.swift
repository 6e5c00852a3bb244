// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Files and folders, with errors that name them.
enum LabFolder {
    static let readBytesMax = 64 << 20

    /// Makes a folder and those above it; one that exists is success.
    static func make(_ path: String, mode: mode_t = 0o755) throws(LabError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex
        else { throw .system("make folder \(path)") }
        try make(String(path[..<slash]))
        guard mkdir(path, mode) == 0 || errno == EEXIST else {
            throw .system("make folder \(path)")
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isFolder(_ path: String) -> Bool {
        // Not lstat(2): the module of a dependency claims `struct stat` for itself.
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { return false }
        close(folder)
        return true
    }

    /// Sorted; none if there is no such folder.
    static func names(in path: String) throws(LabError) -> [String] {
        guard let stream = opendir(path) else {
            if errno == ENOENT { return [] }
            throw .system("read folder \(path)")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func read(_ path: String) throws(LabError) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .system("read \(path)") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < readBytesMax {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count >= 0 else { throw .system("read \(path)") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Puts a file in place in one step, so that whoever watches the folder sees it whole.
    static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws(LabError) {
        guard let slash = path.lastIndex(of: "/") else {
            throw LabError(.failed, "write \(path): not an absolute path")
        }
        let name = path[path.index(after: slash)...]
        let temporary = "\(path[...slash]).\(name).new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard file >= 0 else { throw .system("write \(path)") }
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw .system("write \(path)") }
            rest = rest.dropFirst(count)
        }
        guard rename(temporary, path) == 0 else { throw .system("write \(path)") }
    }

    /// Removes a file or a folder with all that is in it; follows no link; gone already is success.
    static func remove(_ path: String) throws(LabError) {
        if isFolder(path) {
            for name in try names(in: path) { try remove("\(path)/\(name)") }
            guard rmdir(path) == 0 || errno == ENOENT else { throw .system("remove \(path)") }
        } else {
            guard unlink(path) == 0 || errno == ENOENT else { throw .system("remove \(path)") }
        }
    }
}

extension LabError {
    /// What `errno` says about `action`.
    static func system(_ action: String) -> LabError {
        LabError(.failed, "\(action): \(String(cString: strerror(errno)))")
    }
}
