// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A database file, what SQLite keeps beside it, and its damaged predecessors.
struct JournalFiles {
    static let damagedKept = 2

    let path: String
    let folder: String
    let name: String

    init(_ path: String) {
        self.path = path
        guard let slash = path.lastIndex(of: "/") else {
            (folder, name) = (".", path)
            return
        }
        folder = slash == path.startIndex ? "/" : String(path[..<slash])
        name = String(path[path.index(after: slash)...])
    }

    /// An empty file of mode 0600, in a folder that is made with mode 0700 (its parent must exist).
    /// SQLite gives what it puts beside the file the same mode.
    func prepare() throws(JournalError) {
        if mkdir(folder, 0o700) == 0 {
            try sync(JournalFiles(folder).folder)
        } else if errno != EEXIST {
            throw refused("making \(folder)")
        }
        // Only a new file is opened here: closing a descriptor drops every lock that this process
        // holds on the file, another connection's too.
        let descriptor = Glibc.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            Glibc.close(descriptor)
            try sync(folder)
        } else if errno != EEXIST {
            throw refused("creating \(path)")
        } else if chmod(path, 0o600) != 0 {
            throw refused("setting the mode of \(path)")
        }
    }

    var isWritable: Bool { access(path, W_OK) == 0 && access(folder, W_OK) == 0 }

    /// Renames the file and those beside it to `NAME.damaged-N`, and keeps the newest two.
    ///
    /// The database goes first: SQLite discards a log that it finds beside an empty database, but
    /// would take a database without its log for an older, intact one.
    ///
    /// - Returns: the new path.
    func setAside() throws(JournalError) -> String {
        let earlier = try damaged()
        let target = "\(path).damaged-\((earlier.last ?? 0) + 1)"
        for suffix in Self.suffixes where rename(path + suffix, target + suffix) != 0 {
            guard errno == ENOENT else { throw refused("setting aside \(path + suffix)") }
        }
        for number in earlier.dropLast(Self.damagedKept - 1) {
            for suffix in Self.suffixes where unlink("\(path).damaged-\(number)\(suffix)") != 0 {
                guard errno == ENOENT else { throw refused("removing a damaged \(name)") }
            }
        }
        try sync(folder)
        return target
    }

    private static let suffixes = ["", "-wal", "-shm", "-journal"]

    /// The numbers in use, ascending.
    private func damaged() throws(JournalError) -> [Int] {
        guard let stream = opendir(folder) else { throw refused("listing \(folder)") }
        defer { closedir(stream) }
        var numbers: [Int] = []
        while let entry = readdir(stream) {
            let found = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard found.hasPrefix("\(name).damaged-"),
                let number = Int(found.dropFirst("\(name).damaged-".count))
            else { continue }
            numbers.append(number)
        }
        return numbers.sorted()
    }

    /// A name is durable once its folder is.
    private func sync(_ folder: String) throws(JournalError) {
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw refused("opening \(folder)") }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw refused("syncing \(folder)") }
    }

    private func refused(_ action: String) -> JournalError {
        let code: JournalError.Code = errno == ENOSPC || errno == EDQUOT ? .full : .system
        return JournalError(code, action: action, detail: String(cString: strerror(errno)))
    }
}
