// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

extension NetworkNamespace {
    /// Creates a namespace and names it, like `ip netns add`: `/run/netns/NAME` keeps it alive.
    ///
    /// - Throws: `.exists` if the name is taken. On failure nothing is left.
    public static func create(named name: String) throws(NetlinkError) -> NetworkNamespace {
        let operation = "create network namespace \(name)"
        try checkName(name, operation)
        try prepareDirectory(operation)
        let target = path(of: name)
        let file = open(target, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)
        guard file >= 0 else { throw NetlinkError(Errno(rawValue: errno), operation: operation) }
        close(file)
        let bound = try runOnThread { () -> Result<Void, NetlinkError> in
            do throws(Errno) {
                try SystemCalls.leaveNetwork()
            } catch {
                return .failure(NetlinkError(error, operation: operation))
            }
            guard mount("/proc/thread-self/ns/net", target, "none", MountFlag.bind, nil) == 0
            else { return .failure(NetlinkError(Errno(rawValue: errno), operation: operation)) }
            return .success(())
        }
        do throws(NetlinkError) {
            try bound.get()
            return try NetworkNamespace(path: target)
        } catch {
            try delete(named: name)
            throw error
        }
    }

    /// Removes the name; the namespace lives on while a process or descriptor uses it. Gone already
    /// is success.
    public static func delete(named name: String) throws(NetlinkError) {
        let operation = "delete network namespace \(name)"
        try checkName(name, operation)
        let target = path(of: name)
        // EINVAL: nothing is mounted there, as after a creation that was interrupted.
        if umount2(target, MountFlag.detach) != 0, errno != EINVAL, errno != ENOENT {
            throw NetlinkError(Errno(rawValue: errno), operation: operation)
        }
        if unlink(target) != 0, errno != ENOENT {
            throw NetlinkError(Errno(rawValue: errno), operation: operation)
        }
    }

    /// The names under `/run/netns`, sorted.
    public static func names() throws(NetlinkError) -> [String] {
        guard let stream = opendir(directory) else {
            if errno == ENOENT { return [] }
            throw NetlinkError(Errno(rawValue: errno), operation: "list network namespaces")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func checkName(_ name: String, _ operation: String) throws(NetlinkError) {
        guard (1...255).contains(name.utf8.count), name != ".", name != "..",
            !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
        else {
            throw NetlinkError(
                code: .invalid, operation: operation, message: "not the name of a file")
        }
    }

    /// Makes `/run/netns` a shared mount of its own, exactly as `ip netns add` does: otherwise a
    /// later `ip netns add` would cover our names with a copy that can't be unmounted.
    private static func prepareDirectory(_ operation: String) throws(NetlinkError) {
        if mkdir(directory, 0o755) != 0, errno != EEXIST {
            throw NetlinkError(Errno(rawValue: errno), operation: operation)
        }
        let shared = MountFlag.shared | MountFlag.recursive
        if mount("", directory, "none", shared, nil) == 0 { return }
        guard errno == EINVAL,
            mount(directory, directory, "none", MountFlag.bind | MountFlag.recursive, nil) == 0,
            mount("", directory, "none", shared, nil) == 0
        else { throw NetlinkError(Errno(rawValue: errno), operation: operation) }
    }
}

/// Bits of `mount(2)` and `umount2(2)`.
private enum MountFlag {
    static let bind: UInt = 0x1000
    static let recursive: UInt = 0x4000
    static let shared: UInt = 0x10_0000
    static let detach: Int32 = 2
}
