// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc

/// A folder of the BPF file system that is gone when the test is over.
final class PinFolder: Sendable {
    let path: String

    init(_ name: String = #function) throws {
        let word = name.prefix { $0 != "(" }
        path = "\(try BPFFileSystem.mountPoint())/test-\(getpid())-\(word)"
        try BPFFileSystem.makeDirectory(path)
    }

    deinit { try? BPFFileSystem.removeDirectory(path) }
}
