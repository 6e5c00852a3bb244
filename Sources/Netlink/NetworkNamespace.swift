// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// A network namespace, kept alive by an open descriptor.
public final class NetworkNamespace: Sendable {
    /// Where named namespaces are, as `ip netns` keeps them.
    public static let directory = "/run/netns"

    /// Open until this object goes.
    public let descriptor: FileDescriptor

    /// The same for two objects if they are one namespace, as long as it lives.
    public struct ID: Hashable, Sendable {
        public let device: UInt64
        public let inode: UInt64
    }

    /// Opens the namespace at a path: `/run/netns/NAME`, `/proc/PID/ns/net`.
    ///
    /// - Throws: `.notFound` if nothing is there, `.invalid` if it is no network namespace.
    public init(path: String) throws(NetlinkError) {
        let operation = "open network namespace \(path)"
        let opened = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else {
            throw NetlinkError(Errno(rawValue: errno), operation: operation)
        }
        descriptor = FileDescriptor(rawValue: opened)
        guard NamespaceKind.isNetwork(opened) else {
            throw NetlinkError(
                code: .invalid, operation: operation, message: "not a network namespace")
        }
    }

    /// Opens the namespace of the calling thread.
    public static func current() throws(NetlinkError) -> NetworkNamespace {
        try NetworkNamespace(path: "/proc/thread-self/ns/net")
    }

    /// Opens `/run/netns/NAME`.
    public convenience init(named name: String) throws(NetlinkError) {
        try self.init(path: Self.path(of: name))
    }

    deinit {
        // The descriptor is ours alone; a failing close leaves nothing to do.
        _ = Glibc.close(descriptor.rawValue)
    }

    public static func path(of name: String) -> String { "\(directory)/\(name)" }

    /// - Throws: `.other` if the descriptor can't be examined.
    public func id() throws(NetlinkError) -> ID {
        var status = stat()
        guard fstat(descriptor.rawValue, &status) == 0 else {
            throw NetlinkError(Errno(rawValue: errno), operation: "examine network namespace")
        }
        return ID(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// Runs `body` on a thread of its own inside the namespace, and waits for it. No other thread,
    /// and no pool, ever enters the namespace.
    ///
    /// - Throws: ``NetlinkError`` if the namespace can't be entered (`body` hasn't run), or what
    ///   `body` throws.
    /// - Complexity: one thread, some 50 µs.
    public func run<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws -> Value {
        let result: Result<Value, Failure> = try onThread {
            do throws(Failure) {
                return .success(try body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Moves the calling thread into the namespace for good: for a process that is about to
    /// execute a program in it, and has one thread.
    public func enter() throws(NetlinkError) {
        do throws(Errno) {
            try SystemCalls.enterNetwork(descriptor)
        } catch {
            throw NetlinkError(error, operation: "enter network namespace")
        }
    }

    func onThread<Value>(_ body: () -> Value) throws(NetlinkError) -> Value {
        let result = try runOnThread { () -> Result<Value, NetlinkError> in
            do throws(NetlinkError) {
                try enter()
            } catch {
                return .failure(error)
            }
            return .success(body())
        }
        return try result.get()
    }
}

/// Tells network namespaces from other files.
enum NamespaceKind {
    /// `NS_GET_NSTYPE`.
    private static let getType: UInt = 0xb703

    static func isNetwork(_ descriptor: Int32) -> Bool {
        ioctl(descriptor, getType) == SystemCalls.newNetwork
    }
}
