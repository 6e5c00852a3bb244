// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import SystemPackage

/// A file descriptor that is closed when its owner goes out of scope.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number, valid while this value lives.
    public let rawValue: Int32

    /// - Parameter rawValue: an open descriptor that nobody else closes.
    public init(owning rawValue: Int32) { self.rawValue = rawValue }

    deinit { close(rawValue) }

    /// Another descriptor of the same kernel object.
    public func duplicate() throws(BPFError) -> OwnedDescriptor {
        try Self.duplicate(of: rawValue)
    }

    /// A descriptor of the kernel object behind `number`, which stays with its owner.
    static func duplicate(of number: Int32) throws(BPFError) -> OwnedDescriptor {
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            throw BPFError(
                .system, errno: Errno(rawValue: errno), action: "duplicating descriptor \(number)")
        }
        return OwnedDescriptor(owning: copy)
    }

    /// Gives the descriptor up; the caller closes it.
    public consuming func release() -> Int32 {
        let number = rawValue
        discard self
        return number
    }
}
