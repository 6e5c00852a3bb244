// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What the kernel told about a folder.
struct FolderNews {
    /// Files that are complete and new, or gone.
    var names: Set<String> = []
    /// Names are not enough: events were lost, or a link behind them was switched.
    var needsScan = false
    /// The folder itself is gone.
    var isLost = false
}

/// An inotify instance that watches one folder.
final class Inotify: Sendable {
    let descriptor: Int32
    private let folder: String

    init(folder: String) throws(FolderError) {
        self.folder = folder
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard descriptor >= 0 else { throw FolderError(path: folder, errno: errno) }
        try watchAgain()
    }

    deinit { close(descriptor) }

    /// Watches the folder that now has the name.
    func watchAgain() throws(FolderError) {
        // Not IN_MODIFY: a file is read when its writer has closed it.
        let mask =
            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF
            | IN_MOVE_SELF | Int32(bitPattern: UInt32(IN_ONLYDIR))
        guard inotify_add_watch(descriptor, folder, UInt32(bitPattern: mask)) >= 0 else {
            throw FolderError(path: folder, errno: errno)
        }
    }

    /// Takes everything that waits in the kernel; never blocks.
    func read(into news: inout FolderNews) {
        let header = MemoryLayout<inotify_event>.size
        withUnsafeTemporaryAllocation(
            byteCount: 64 << 10, alignment: MemoryLayout<inotify_event>.alignment
        ) { buffer in
            while true {
                let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                guard count > 0 else { return }
                var offset = 0
                while offset + header <= count {
                    let event = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                    let start = offset + header
                    offset = start + Int(event.len)
                    let name = buffer[start..<offset].prefix { $0 != 0 }
                    note(event, String(decoding: name, as: UTF8.self), in: &news)
                }
            }
        }
    }

    private func note(_ event: inotify_event, _ name: String, in news: inout FolderNews) {
        let mask = Int32(bitPattern: event.mask)
        if mask & IN_Q_OVERFLOW != 0 {
            news.needsScan = true
        } else if mask & IN_MOVE_SELF != 0 {
            // The watch went with the folder; the name is free for another one.
            inotify_rm_watch(descriptor, event.wd)
            news.isLost = true
        } else if mask & (IN_DELETE_SELF | IN_UNMOUNT) != 0 {
            news.isLost = true
        } else if name.hasPrefix("..") {
            // A volume of Kubernetes switches all its files by moving one link, `..data`.
            news.needsScan = true
        } else if mask & IN_CREATE == 0 || isLink(name) {
            news.names.insert(name)
        }
    }

    /// Whether a name that was just created is complete: a symbolic or a second hard link. Of a new
    /// file the closing is awaited.
    private func isLink(_ name: String) -> Bool {
        var status = stat()
        guard lstat("\(folder)/\(name)", &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFLNK || status.st_nlink > 1
    }
}
