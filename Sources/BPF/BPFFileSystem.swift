// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import SystemPackage

/// Where BPF objects are pinned and cgroups live. Both are looked up, not assumed: hybrid
/// hierarchies mount cgroup2 elsewhere than at `/sys/fs/cgroup`.
public enum BPFFileSystem {
    public static let usualMountPoint = "/sys/fs/bpf"

    /// A mounted BPF file system, the usual one if it is; mounts it there when there is none.
    public static func mountPoint() throws(BPFError) -> String {
        let mounts = mountPoints(ofType: "bpf", in: try mountInfo())
        if mounts.contains(usualMountPoint) { return usualMountPoint }
        if let first = mounts.first { return first }
        guard mount("bpf", usualMountPoint, "bpf", 0, "mode=0700") == 0 else {
            throw failure("mounting the BPF file system at \(usualMountPoint)")
        }
        return usualMountPoint
    }

    /// Root of the cgroup2 hierarchy.
    ///
    /// - Throws: ``BPFError`` `.unsupported` when none is mounted.
    public static func cgroupRoot() throws(BPFError) -> String {
        guard let root = mountPoints(ofType: "cgroup2", in: try mountInfo()).first else {
            throw BPFError(
                .unsupported, action: "finding the cgroup2 hierarchy", detail: "none is mounted")
        }
        return root
    }

    /// Makes a folder and those above it, readable by their owner only; one that exists is success.
    public static func makeDirectory(_ path: String) throws(BPFError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex
        else { throw failure("making the folder \(path)") }
        try makeDirectory(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw failure("making the folder \(path)")
        }
    }

    /// Names in a folder, sorted; none when it does not exist.
    public static func names(in directory: String) throws(BPFError) -> [String] {
        guard let stream = opendir(directory) else {
            if errno == ENOENT { return [] }
            throw failure("reading the folder \(directory)")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a pin; what is gone already is success.
    public static func unpin(_ path: String) throws(BPFError) {
        guard unlink(path) == 0 || errno == ENOENT else {
            throw failure("removing the pin \(path)")
        }
    }

    /// Removes a folder with every pin and folder in it; what is gone already is success.
    public static func removeDirectory(_ path: String) throws(BPFError) {
        for name in try names(in: path) {
            var status = stat()
            let entry = "\(path)/\(name)"
            guard lstat(entry, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                try removeDirectory(entry)
            } else {
                try unpin(entry)
            }
        }
        guard rmdir(path) == 0 || errno == ENOENT else { throw failure("removing \(path)") }
    }

    /// Mount points of a file-system type, in the order of proc(5)'s mountinfo, octal escapes undone.
    static func mountPoints(ofType type: String, in mountInfo: String) -> [String] {
        mountInfo.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count, fields.count > 4,
                fields[dash + 1] == type
            else { return nil }
            return unescape(fields[4])
        }
    }

    private static func unescape(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let escaped = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(escaped)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func mountInfo() throws(BPFError) -> String {
        let path = "/proc/self/mountinfo"
        let number = open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { throw failure("reading \(path)") }
        let descriptor = OwnedDescriptor(owning: number)
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor.rawValue, &buffer, buffer.count)
            if count < 0 { throw failure("reading \(path)") }
            if count == 0 { return String(decoding: text, as: UTF8.self) }
            text += buffer.prefix(count)
        }
    }

    private static func failure(_ action: String) -> BPFError {
        BPFError(result: -errno, action: action)
    }
}
