// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

extension NetworkNamespace {
    /// Writes a network sysctl of this namespace, `net/ipv4/ip_forward` or `net.ipv4.ip_forward`.
    ///
    /// - Parameter key: with slashes where a part of the name holds a dot (an interface may).
    /// - Throws: `.notFound` if the kernel or the namespace has no such key.
    public func setSysctl(_ key: String, to value: String) throws(NetlinkError) {
        let path = Self.path(ofSysctl: key)
        let operation = "set \(path) to \(value)"
        let failure = try onThread { () -> Errno? in
            let file = open(path, O_WRONLY | O_CLOEXEC)
            guard file >= 0 else { return Errno(rawValue: errno) }
            defer { close(file) }
            let bytes = Array(value.utf8)
            return write(file, bytes, bytes.count) == bytes.count ? nil : Errno(rawValue: errno)
        }
        if let failure { throw NetlinkError(failure, operation: operation) }
    }

    /// Reads a network sysctl of this namespace, without the final line break.
    public func sysctl(_ key: String) throws(NetlinkError) -> String {
        let path = Self.path(ofSysctl: key)
        let result = try onThread { () -> Result<[UInt8], Errno> in
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { return .failure(Errno(rawValue: errno)) }
            defer { close(file) }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = read(file, &bytes, bytes.count)
            return count >= 0 ? .success(Array(bytes[..<count])) : .failure(Errno(rawValue: errno))
        }
        switch result {
        case .failure(let failure): throw NetlinkError(failure, operation: "read \(path)")
        case .success(let bytes):
            return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        }
    }

    private static func path(ofSysctl key: String) -> String {
        "/proc/sys/"
            + (key.contains("/") ? key : key.split(separator: ".").joined(separator: "/"))
    }
}
