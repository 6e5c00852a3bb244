// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A folder of its own, gone when the test is.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        // In memory where that can be had: thousands of openings each sync their folder.
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(parent)/weft-journal-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        clear()
        rmdir(path)
    }

    var database: String { path + "/own.db" }

    /// Sorted.
    var names: [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func clear() {
        for name in names { unlink("\(path)/\(name)") }
    }

    func read(_ name: String) -> [UInt8] {
        guard let file = fopen("\(path)/\(name)", "r") else { return [] }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        let count = ftell(file)
        rewind(file)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = fread(buffer.baseAddress, 1, count, file)
        }
    }

    func readAll() -> [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, read($0)) })
    }

    func write(_ name: String, _ bytes: [UInt8]) {
        guard let file = fopen("\(path)/\(name)", "w") else { return }
        defer { fclose(file) }
        fwrite(bytes, 1, bytes.count, file)
    }

    /// Replaces everything.
    func write(_ files: [String: [UInt8]]) {
        clear()
        for (name, bytes) in files { write(name, bytes) }
    }

    /// The permission bits.
    func mode(_ name: String) -> mode_t {
        var status = stat()
        stat("\(path)/\(name)", &status)
        return status.st_mode & 0o777
    }
}
