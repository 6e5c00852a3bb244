// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Files that only this user may read or change; missing ones are no error.
enum ClosedFile {
    static let mode: mode_t = 0o600

    /// - Returns: nil when there is no such file.
    /// - Throws: ``TrustError/exposed(path:mode:required:)``, ``TrustError/wrongOwner(path:owner:)``,
    ///   or ``TrustError/unusableFile(path:reason:)`` above `bytesMaximum`.
    static func read(_ path: String, bytesMaximum: Int) throws(TrustError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        if descriptor < 0 && errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw .file(operation: "open", path: path, errno: errno) }
        defer { close(descriptor) }
        let size = try check(descriptor, path: path)
        guard size <= bytesMaximum
        else { throw .unusableFile(path: path, reason: "it has \(size) bytes") }
        var bytes = [UInt8](repeating: 0, count: size)
        var count = 0
        while count < size {
            let result = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress.map { $0 + count }, size - count)
            }
            if result < 0 && errno == EINTR { continue }
            guard result >= 0 else { throw .file(operation: "read", path: path, errno: errno) }
            if result == 0 { break }
            count += result
        }
        bytes.removeLast(size - count)
        return bytes
    }

    /// - Returns: the size in bytes.
    static func check(_ descriptor: Int32, path: String) throws(TrustError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0
        else { throw .file(operation: "inspect", path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG
        else { throw .unusableFile(path: path, reason: "it is no regular file") }
        guard status.st_uid == geteuid() || status.st_uid == 0
        else { throw .wrongOwner(path: path, owner: status.st_uid) }
        guard status.st_mode & 0o7777 & ~mode == 0 else {
            throw .exposed(path: path, mode: status.st_mode & 0o7777, required: mode)
        }
        return Int(status.st_size)
    }
}
