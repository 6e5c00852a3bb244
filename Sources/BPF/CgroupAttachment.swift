// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import SystemPackage

/// A folder of the cgroup2 hierarchy, held open.
public struct Cgroup: ~Copyable, Sendable {
    public let path: String
    let descriptor: OwnedDescriptor

    /// - Throws: ``BPFError`` `.notFound` when there is no such folder.
    public init(path: String) throws(BPFError) {
        let number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else {
            let errno = Errno(rawValue: errno)
            throw BPFError(
                BPFError.Code(errno), errno: errno, action: "opening the cgroup \(path)")
        }
        self.init(path, OwnedDescriptor(owning: number))
    }

    private init(_ path: String, _ descriptor: consuming OwnedDescriptor) {
        self.path = path
        self.descriptor = descriptor
    }

    /// The kernel's number of the cgroup: its folder's inode.
    func kernelID() throws(BPFError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor.rawValue, &status) == 0 else {
            throw BPFError(
                .system, errno: Errno(rawValue: errno), action: "looking at the cgroup \(path)")
        }
        return UInt64(status.st_ino)
    }
}

extension Program {
    /// Attaches to a cgroup, beside other programs, at the hook the program was compiled for.
    public func attach(to cgroup: borrowing Cgroup) throws(BPFError) -> Link {
        let result = bpf_link_create(
            descriptor.rawValue, cgroup.descriptor.rawValue,
            bpf_attach_type(rawValue: attachType), nil)
        return Link(
            owning: try check(result, "attaching program \(name) to the cgroup \(cgroup.path)"))
    }

    /// Attaches to a cgroup for longer than this process lives, or replaces, in one step, the
    /// program that an earlier process attached there.
    public func attach(
        to cgroup: borrowing Cgroup, pinnedAt path: String
    ) throws(BPFError) -> PinnedAttachment {
        let wanted = try cgroup.kernelID()
        return try Link.pin(
            self, at: path,
            isCurrent: { link throws(BPFError) in try link.target().cgroup == wanted },
            attach: { () throws(BPFError) in try attach(to: cgroup) })
    }
}
