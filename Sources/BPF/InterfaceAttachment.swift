// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import SystemPackage

/// Where on an interface a traffic-control program sees packets.
public enum PacketDirection: Hashable, Sendable {
    case ingress
    case egress

    var tcx: Int32 {
        switch self {
        case .ingress: SHIM_TCX_INGRESS
        case .egress: SHIM_TCX_EGRESS
        }
    }

    var clsact: bpf_tc_attach_point {
        switch self {
        case .ingress: BPF_TC_INGRESS
        case .egress: BPF_TC_EGRESS
        }
    }
}

/// A program's place on an interface: a tcx link (Linux 6.6), else a filter of the clsact queueing
/// discipline. Scope end takes a link away; a filter stays until ``detach()``.
public enum InterfaceAttachment: ~Copyable, Sendable {
    case link(Link)
    case filter(ClassifierFilter)

    public consuming func detach() throws(BPFError) {
        switch consume self {
        case .link(let link): try link.detach()
        case .filter(let filter): try filter.detach()
        }
    }
}

extension Program {
    /// Attaches to an interface of this thread's network namespace.
    ///
    /// - Parameter interface: its index.
    public func attach(
        toInterface interface: UInt32, _ direction: PacketDirection
    ) throws(BPFError) -> InterfaceAttachment {
        if let link = try attachLink(interface, direction) { return .link(link) }
        return .filter(try attachFilter(interface, direction))
    }

    /// Attaches to an interface for longer than this process lives, or replaces, in one step, the
    /// program that an earlier process attached there.
    ///
    /// - Parameter path: where the link is pinned. Unused on kernels without tcx, where a filter
    ///   lives as long as the interface.
    public func attach(
        toInterface interface: UInt32, _ direction: PacketDirection, pinnedAt path: String
    ) throws(BPFError) -> PinnedAttachment {
        do {
            return try Link.pin(
                self, at: path,
                isCurrent: { link throws(BPFError) in try link.target().interface == interface },
                attach: { () throws(BPFError) in
                    guard let link = try attachLink(interface, direction) else {
                        throw BPFError(.unsupported, action: "making a tcx link")
                    }
                    return link
                })
        } catch {
            guard error.code == .unsupported else { throw error }
            let existed = ClassifierFilter(interface: interface, direction: direction).isPresent
            _ = try attachFilter(interface, direction)
            return existed ? .replaced : .created
        }
    }

    /// Nil when the kernel knows no tcx links. The error of a missing interface is another one.
    private func attachLink(
        _ interface: UInt32, _ direction: PacketDirection
    ) throws(BPFError) -> Link? {
        let result = shim_tcx_link(descriptor.rawValue, Int32(interface), direction.tcx)
        if result == -Errno.invalidArgument.rawValue { return nil }
        return Link(
            owning: try check(result, "attaching program \(name) to interface \(interface)"))
    }

    private func attachFilter(
        _ interface: UInt32, _ direction: PacketDirection
    ) throws(BPFError) -> ClassifierFilter {
        let filter = ClassifierFilter(interface: interface, direction: direction)
        try filter.attach(self)
        return filter
    }
}

extension Link {
    /// Takes away what ``Program/attach(toInterface:_:pinnedAt:)`` attached; what is gone already,
    /// interface included, is success.
    public static func detach(
        interface: UInt32, _ direction: PacketDirection, pinnedAt path: String
    ) throws(BPFError) {
        if try detach(pinnedAt: path) { return }
        try ClassifierFilter(interface: interface, direction: direction).detach()
    }

    /// Ends the attachment pinned at `path` and removes the pin; what is gone already is success.
    ///
    /// - Returns: whether there was a pin.
    @discardableResult
    public static func detach(pinnedAt path: String) throws(BPFError) -> Bool {
        guard access(path, F_OK) == 0 else { return false }
        // Removing the pin alone detaches too, but some milliseconds later.
        try Link(pinnedAt: path).detach()
        try BPFFileSystem.unpin(path)
        return true
    }

    /// Whether what ``Program/attach(toInterface:_:pinnedAt:)`` attached is still there.
    public static func isAttached(
        interface: UInt32, _ direction: PacketDirection, pinnedAt path: String
    ) throws(BPFError) -> Bool {
        guard access(path, F_OK) == 0 else {
            return ClassifierFilter(interface: interface, direction: direction).isPresent
        }
        return try Link(pinnedAt: path).target().interface == interface
    }

    /// Whether a link pinned at `path` is attached to an interface that still exists.
    public static func isAttached(pinnedAt path: String) throws(BPFError) -> Bool {
        try Link(pinnedAt: path).target().interface != 0
    }
}
