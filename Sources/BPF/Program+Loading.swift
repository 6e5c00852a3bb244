// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

extension Program {
    /// Program types that this library can load from bare instructions.
    public enum Kind: UInt32, Sendable {
        case trafficControl = 3
        case xdp = 6
    }

    /// Loads a program that is not part of an object: probes, baselines of benchmarks.
    ///
    /// - Parameter instructions: as the kernel reads them, `struct bpf_insn` as one number each.
    /// - Throws: ``BPFError`` `.rejectedByVerifier` with the end of its log.
    public init(
        loading instructions: [UInt64], kind: Kind, name: String
    ) throws(BPFError) {
        // Pages of the log that the verifier doesn't reach are never touched.
        let logSize = 1 << 20
        let log = UnsafeMutablePointer<CChar>.allocate(capacity: logSize)
        defer { log.deallocate() }
        log[0] = 0
        var options = bpf_prog_load_opts()
        options.sz = optionsSize(\bpf_prog_load_opts.log_buf)
        options.log_buf = log
        options.log_size = UInt32(logSize)
        let result = instructions.withUnsafeBytes { bytes in
            bpf_prog_load(
                bpf_prog_type(rawValue: kind.rawValue), name, "GPL",
                bytes.baseAddress?.assumingMemoryBound(to: bpf_insn.self), instructions.count,
                &options)
        }
        guard result >= 0 else {
            let text = LibraryLog.end(of: String(cString: log))
            let error = BPFError(result: result, action: "loading program \(name)", detail: text)
            throw text.isEmpty
                ? error
                : BPFError(
                    .rejectedByVerifier, errno: error.errno, action: error.action, detail: text)
        }
        self.init(name: name, descriptor: OwnedDescriptor(owning: result), attachType: 0)
    }
}
