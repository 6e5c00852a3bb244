// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab

/// A file that is written beside its place, where nobody looks, and then put there in one step.
struct StagedFile {
    private let temporary: String
    private let path: String

    /// - Throws: ``LabError`` if it can't be written.
    init(_ text: String, for path: String) throws {
        guard let slash = path.lastIndex(of: "/") else {
            throw LabError(.failed, "\(path) is not an absolute path")
        }
        self.path = path
        temporary = "\(path[...slash]).\(path[path.index(after: slash)...]).new"
        guard let file = fopen(temporary, "we") else { throw failure("write \(path)") }
        var text = text
        let isWritten = text.withUTF8 { fwrite($0.baseAddress, 1, $0.count, file) == $0.count }
        guard fclose(file) == 0, isWritten else { throw failure("write \(path)") }
    }

    /// - Returns: the moment before, nanoseconds.
    @discardableResult
    func place() throws -> UInt64 {
        let moment = monotonicNow()
        guard rename(temporary, path) == 0 else { throw failure("put \(path) in place") }
        return moment
    }
}
