// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A small file that is there whole or not at all, whatever happens while it is written.
struct DurableFile: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let path: String
        let operation: String
        let errno: Int32
        var description: String {
            "can't \(operation) \(path): \(String(cString: strerror(errno)))"
        }
    }

    let path: String
    /// Of what is read.
    var maximumBytes = 64 * 1024

    /// - Returns: nil if there is no such file.
    func read() throws(Failure) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw failure("open") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw failure("read") }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Returns when the text is on disk.
    func write(_ text: String) throws(Failure) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create") }
        let bytes = Array(text.utf8)
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count
        guard isWritten, fsync(descriptor) == 0 else {
            let error = failure("write")
            close(descriptor)
            unlink(temporary)
            throw error
        }
        close(descriptor)
        guard rename(temporary, path) == 0 else {
            let error = failure("replace")
            unlink(temporary)
            throw error
        }
        let folder = open(
            String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)), O_RDONLY)
        guard folder >= 0 else { throw failure("open the folder of") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("sync the folder of") }
    }

    private func failure(_ operation: String) -> Failure {
        Failure(path: path, operation: operation, errno: errno)
    }
}
