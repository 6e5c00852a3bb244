// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import SystemPackage

/// A program attached somewhere. When the link and its pins are gone, so is the attachment.
public struct Link: ~Copyable, Sendable {
    public let descriptor: OwnedDescriptor

    init(owning number: Int32) { descriptor = OwnedDescriptor(owning: number) }

    /// - Throws: ``BPFError`` `.notFound` when nothing is pinned there.
    public init(pinnedAt path: String) throws(BPFError) {
        let number = try check(bpf_obj_get(path), "opening the pinned link \(path)")
        self.init(owning: number)
    }

    /// Replaces the program in one step: every packet meets either the old one or the new one.
    ///
    /// - Throws: `ENOLINK` when what it was attached to is gone.
    public func update(to program: borrowing Program) throws(BPFError) {
        try check(
            bpf_link_update(descriptor.rawValue, program.descriptor.rawValue, nil),
            "replacing the program of a link with \(program.name)")
    }

    /// Makes the attachment outlive this process. The folder must lie in a BPF file system.
    public func pin(at path: String) throws(BPFError) {
        try check(bpf_obj_pin(descriptor.rawValue, path), "pinning a link at \(path)")
    }

    /// Ends the attachment at once, whoever holds the link.
    public consuming func detach() throws(BPFError) {
        try check(bpf_link_detach(descriptor.rawValue), "detaching a link")
    }

    /// What a link is attached to, zero when that is gone; each number for its kind of link only.
    func target() throws(BPFError) -> (interface: UInt32, cgroup: UInt64) {
        var info = bpf_link_info()
        var length = UInt32(MemoryLayout<bpf_link_info>.size)
        try check(
            bpf_obj_get_info_by_fd(descriptor.rawValue, &info, &length), "asking about a link")
        return (shim_link_ifindex(&info), shim_link_cgroup(&info))
    }
}

/// What making an attachment that outlives the process did.
public enum PinnedAttachment: Hashable, Sendable {
    /// Nothing was attached there before.
    case created
    /// The program of an earlier process was replaced in one step.
    case replaced
}

extension Link {
    /// Makes the link pinned at `path` run `program`: updates it where it is attached to the
    /// target already, otherwise attaches anew and lets the pin's stale link go.
    ///
    /// - Parameters:
    ///   - isCurrent: whether the pinned link is attached to the target.
    ///   - attach: makes a link to the target.
    static func pin(
        _ program: borrowing Program, at path: String,
        isCurrent: (borrowing Link) throws(BPFError) -> Bool,
        attach: () throws(BPFError) -> Link
    ) throws(BPFError) -> PinnedAttachment {
        if access(path, F_OK) == 0 {
            let pinned = try Link(pinnedAt: path)
            if try isCurrent(pinned) {
                try pinned.update(to: program)
                return .replaced
            }
            let link = try attach()
            try Link.detach(pinnedAt: path)
            try link.pin(at: path)
            return .created
        }
        try attach().pin(at: path)
        return .created
    }
}
