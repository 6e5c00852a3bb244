// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// The programs that read shared memory while it changes.
public enum Readers {
    /// Returns when every program that runs now has ended: what they may have read can be reused.
    ///
    /// One `membarrier(MEMBARRIER_CMD_GLOBAL)`, which waits for an RCU grace period: tens of
    /// milliseconds. Keep it off the critical path.
    ///
    /// - Throws: ``BPFError`` when the kernel can't tell: nothing may be reused.
    public static func waitForAll() throws(BPFError) {
        // membarrier(2) doesn't wait on machines with one CPU, where a program can be preempted all
        // the same, and refuses with nohz_full.
        if sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1, shim_membarrier_global() == 0 { return }
        try waitByNestedMap()
    }

    /// The kernel promises that an update of a map of maps returns after every program that saw the
    /// former element has ended (`maybe_wait_bpf_programs`).
    static func waitByNestedMap() throws(BPFError) {
        let action = "waiting for running programs"
        let inner = try BPFMap(
            creating: .array, name: "inner", keySize: 4, valueSize: 4, maxEntries: 1)
        var options = bpf_map_create_opts()
        options.sz = optionsSize(\bpf_map_create_opts.map_ifindex)
        options.inner_map_fd = UInt32(inner.descriptor.rawValue)
        let outer = OwnedDescriptor(
            owning: try check(
                bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "outer", 4, 4, 1, &options), action))
        var key: UInt32 = 0
        var value = inner.descriptor.rawValue
        try check(bpf_map_update_elem(outer.rawValue, &key, &value, 0), action)
    }
}
