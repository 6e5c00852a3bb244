// SPDX-License-Identifier: Apache-2.0

import CZlib
import Glibc

/// A new file that only its owner may read, written compressed.
struct GzipFile: ~Copyable {
    /// Nil once it is finished.
    private var handle: gzFile?
    private let path: String

    private init(_ handle: gzFile, _ path: String) {
        self.handle = handle
        self.path = path
    }

    /// - Throws: ``FileProblem`` also where there is such a file already.
    init(creating path: String) throws(FileProblem) {
        let number = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw FileProblem("make the file \(path)") }
        guard let handle = gzdopen(number, "wb6") else {
            close(number)
            throw FileProblem("compress into \(path)")
        }
        self.init(handle, path)
    }

    func write(_ bytes: [UInt8]) throws(FileProblem) {
        guard !bytes.isEmpty else { return }
        guard let handle, gzwrite(handle, bytes, UInt32(bytes.count)) == bytes.count else {
            throw FileProblem("write \(path)")
        }
    }

    /// What was written is complete only then.
    mutating func finish() throws(FileProblem) {
        guard let open = handle else { return }
        handle = nil
        guard gzclose(open) == Z_OK else { throw FileProblem("write \(path)") }
    }

    deinit {
        if let handle { gzclose(handle) }
    }
}

/// What the system said when a file was made or written.
struct FileProblem: Error, CustomStringConvertible {
    let description: String

    init(_ action: String) {
        description = "can't \(action): \(String(cString: strerror(errno)))"
    }
}
