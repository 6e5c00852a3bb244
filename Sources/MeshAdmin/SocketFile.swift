// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// A listening unix socket's place in the file system.
///
/// The socket is bound in a folder that only this user may enter, gets its mode there and is then
/// renamed into place, so that nobody ever meets it with another mode, and a reader of the old path
/// sees either the old socket or the new one.
struct SocketFile {
    let path: String
    let mode: mode_t
    private let folder: String

    /// Where to bind.
    let bindPath: String

    /// - Throws: ``SocketFileError``: nothing was changed, except that folders on the way exist.
    init(path: String, mode: mode_t) throws(SocketFileError) {
        self.path = path
        self.mode = mode
        let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        folder = "\(parent)/.\(getpid())-\(mode)"
        bindPath = "\(folder)/s"
        guard path.hasPrefix("/") else { throw .notAbsolute(path) }
        guard max(path.utf8.count, bindPath.utf8.count) < Self.pathBytesMaximum else {
            throw .tooLong(path)
        }
        try Self.makeFolders(parent)
        try Self.checkFree(path)
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw .system("create", folder, errno)
        }
    }

    /// Gives the bound socket its mode and its name.
    func publish() throws(SocketFileError) {
        guard chmod(bindPath, mode) == 0 else {
            throw .system("change the mode of", bindPath, errno)
        }
        guard rename(bindPath, path) == 0 else { throw .system("create", path, errno) }
        rmdir(folder)
    }

    /// Removes what is left after the listener closed. A socket that a successor put there stays.
    func remove() {
        unlink(bindPath)
        rmdir(folder)
        if (try? Self.checkFree(path)) != nil { unlink(path) }
    }

    /// `sun_path` has 108 bytes, the last one zero.
    private static let pathBytesMaximum = 108

    private static func makeFolders(_ path: String) throws(SocketFileError) {
        var folder = ""
        for component in path.split(separator: "/") {
            folder += "/\(component)"
            guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
                throw .system("create", folder, errno)
            }
        }
    }

    /// A socket where nobody listens is left over from a crash and may be replaced.
    private static func checkFree(_ path: String) throws(SocketFileError) {
        // Not lstat(2): the module of a dependency claims `struct stat` for itself.
        let attributes: [FileAttributeKey: Any]
        do {
            attributes = try FileManager.default.attributesOfItem(atPath: path)
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            return
        } catch {
            throw .system("look at", path, errno)
        }
        guard attributes[.type] as? FileAttributeType == .typeSocket else {
            throw .notASocket(path)
        }
        if try isAnswered(path) { throw .inUse(path) }
    }

    private static func isAnswered(_ path: String) throws(SocketFileError) -> Bool {
        let type = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(AF_UNIX, Int32(type), 0)
        guard descriptor >= 0 else { throw .system("open a socket for", path, errno) }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // EAGAIN: somebody listens, with a full backlog.
        return result == 0 || errno == EAGAIN
    }
}

/// Why a unix socket can't be had; the agent doesn't start.
public enum SocketFileError: Error, Hashable, Sendable, CustomStringConvertible {
    case inUse(String)
    case notASocket(String)
    case notAbsolute(String)
    case tooLong(String)
    case system(_ action: String, _ path: String, _ errno: Int32)

    public var description: String {
        switch self {
        case .inUse(let path):
            "another agent answers at \(path): stop it, or give this one another folder"
        case .notASocket(let path):
            "\(path) exists and is no socket: remove it, or choose another path"
        case .notAbsolute(let path):
            "the path of a unix socket must start with '/', unlike \(path)"
        case .tooLong(let path):
            "\(path) is too long for a unix socket (107 bytes, 20 of them for its preparation)"
        case .system(let action, let path, let code):
            "can't \(action) \(path): \(String(cString: strerror(code)))"
        }
    }
}
