// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

/// Calls that Glibc's Swift module hides: it is built without `_GNU_SOURCE`.
///
/// They are looked up once in the C library that the process runs on, with their C prototypes.
enum SystemCalls {
    /// Bit of `clone(2)`, `unshare(2)` and `setns(2)` for network namespaces.
    static let newNetwork: Int32 = 0x4000_0000

    private typealias Setns = @convention(c) (Int32, Int32) -> Int32
    private typealias Unshare = @convention(c) (Int32) -> Int32

    private static let setns: Setns? = symbol("setns").map { unsafeBitCast($0, to: Setns.self) }
    private static let unshare: Unshare? = symbol("unshare").map {
        unsafeBitCast($0, to: Unshare.self)
    }

    /// Moves the calling thread, and only it, into the network namespace of `descriptor`.
    static func enterNetwork(_ descriptor: FileDescriptor) throws(Errno) {
        guard let setns else { throw .noFunction }
        guard setns(descriptor.rawValue, newNetwork) == 0 else { throw Errno(rawValue: errno) }
    }

    /// Moves the calling thread, and only it, into a new network namespace.
    static func leaveNetwork() throws(Errno) {
        guard let unshare else { throw .noFunction }
        guard unshare(newNetwork) == 0 else { throw Errno(rawValue: errno) }
    }

    private static func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        dlsym(nil, name)  // nil is RTLD_DEFAULT: every library of the process.
    }
}
