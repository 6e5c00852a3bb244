// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import SystemPackage

/// A direct-action filter of an interface's clsact queueing discipline, for kernels before 6.6.
/// One fixed handle and priority, so that attaching again replaces it in one step. The handle isn't 1,
/// which everybody else's first filter has: on a shared interface that would be replaced.
public struct ClassifierFilter: Sendable {
    static let handle: UInt32 = 0x7765_6674
    static let priority: UInt32 = 1

    public let interface: UInt32
    public let direction: PacketDirection

    private var hook: bpf_tc_hook {
        var hook = bpf_tc_hook()
        hook.sz = optionsSize(\bpf_tc_hook.parent)
        hook.ifindex = Int32(interface)
        hook.attach_point = direction.clsact
        return hook
    }

    private var options: bpf_tc_opts {
        var options = bpf_tc_opts()
        options.sz = optionsSize(\bpf_tc_opts.priority)
        options.handle = Self.handle
        options.priority = Self.priority
        return options
    }

    func attach(_ program: borrowing Program) throws(BPFError) {
        var hook = hook
        let (made, text) = LibraryLog.capture { bpf_tc_hook_create(&hook) }
        guard made == 0 || made == -Errno.fileExists.rawValue else {
            throw BPFError(
                result: made, action: "making clsact on interface \(interface)", detail: text)
        }
        var options = options
        options.prog_fd = program.descriptor.rawValue
        options.flags = UInt32(BPF_TC_F_REPLACE.rawValue)
        let (result, words) = LibraryLog.capture { bpf_tc_attach(&hook, &options) }
        guard result < 0 else { return }
        throw BPFError(
            result: result, action: "attaching \(program.name) to interface \(interface)",
            detail: words)
    }

    var isPresent: Bool {
        var hook = hook
        var options = options
        return LibraryLog.capture { bpf_tc_query(&hook, &options) }.result == 0
    }

    /// What is gone already, interface included, is success.
    func detach() throws(BPFError) {
        var hook = hook
        var options = options
        let (result, text) = LibraryLog.capture { bpf_tc_detach(&hook, &options) }
        guard result < 0, ![ENOENT, ENODEV, EINVAL].contains(-result) else { return }
        throw BPFError(
            result: result, action: "detaching from interface \(interface)", detail: text)
    }
}
