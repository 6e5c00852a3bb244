// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What tells a version of a file from another one.
struct FileStamp: Hashable, Sendable {
    /// Since 1970.
    let modifiedNanoseconds: Int64
    let size: Int64
    let inode: UInt64

    /// Equals no real file's: read again at the next scan.
    static let none = FileStamp(modifiedNanoseconds: .min, size: -1, inode: 0)
}

enum FileFailure: Error {
    case gone
    case failed(doing: String, errno: Int32)
}

/// An open manifest.
struct ManifestDescriptor: ~Copyable {
    private let descriptor: Int32

    /// Never blocks, whatever the name turns out to be.
    init(path: String) throws(FileFailure) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            throw errno == ENOENT ? .gone : .failed(doing: "opened", errno: errno)
        }
    }

    deinit { close(descriptor) }

    /// - Throws: ``FileFailure/gone`` for folders, pipes and devices: they are no manifests.
    func stamp() throws(FileFailure) -> FileStamp {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .failed(doing: "examined", errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .gone }
        let modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        return FileStamp(
            modifiedNanoseconds: modified, size: Int64(status.st_size), inode: UInt64(status.st_ino)
        )
    }

    /// The first `max` bytes.
    func contents(max: Int) throws(FileFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < max {
            let wanted = min(max - bytes.count, 256 << 10)
            var code: Int32 = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
                let got = read(descriptor, buffer.baseAddress, wanted)
                code = got < 0 ? errno : 0
                count = Swift.max(got, 0)
            }
            if code == EINTR { continue }
            guard code == 0 else { throw .failed(doing: "read", errno: code) }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return bytes
    }
}
