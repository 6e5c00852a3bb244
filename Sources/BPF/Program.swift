// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

/// A loaded program, owned.
public struct Program: ~Copyable, Sendable {
    public let name: String
    public let descriptor: OwnedDescriptor
    /// `enum bpf_attach_type` that the program was compiled for; 0 when its section names none.
    public let attachType: UInt32

    init(name: String, descriptor: consuming OwnedDescriptor, attachType: UInt32) {
        self.name = name
        self.descriptor = descriptor
        self.attachType = attachType
    }

    /// The kernel's number of the program.
    public func kernelID() throws(BPFError) -> UInt32 {
        var info = bpf_prog_info()
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        try check(
            bpf_obj_get_info_by_fd(descriptor.rawValue, &info, &length),
            "asking about program \(name)")
        return info.id
    }
}

/// What a test run gave back.
public struct TestRun: Hashable, Sendable {
    /// As the program returned it: a TC_ACT code, an XDP action, …
    public let returnValue: UInt32
    /// The packet afterwards, from the link-layer header on.
    public let data: [UInt8]
    /// The context afterwards, empty when none was given.
    public let context: [UInt8]
    /// Mean of all repetitions.
    public let nanoseconds: UInt32
}

extension Program {
    /// Bytes a packet may grow by in a test run.
    public static var testRunGrowth: Int { 4096 }

    /// Runs the program on a packet inside the kernel, attached to nothing (`BPF_PROG_TEST_RUN`).
    ///
    /// - Parameters:
    ///   - data: the packet from its link-layer header on, 14 bytes at least.
    ///   - context: bytes of the program's context, as `struct __sk_buff`; empty for the default,
    ///     which arrives on the loopback device of this thread's network namespace.
    ///   - repetitions: how often it runs; the packet of the last run is returned.
    /// - Throws: ``BPFError`` `.unsupported` for program types the kernel can't test.
    public func testRun(
        data: [UInt8], context: [UInt8] = [], repetitions: Int = 1
    ) throws(BPFError) -> TestRun {
        var dataOut = [UInt8](repeating: 0, count: data.count + Self.testRunGrowth)
        var contextOut = [UInt8](repeating: 0, count: context.count)
        var options = bpf_test_run_opts()
        options.sz = optionsSize(\bpf_test_run_opts.batch_size)
        options.repeat = Int32(repetitions)
        let result = data.withUnsafeBytes { dataIn in
            context.withUnsafeBytes { contextIn in
                dataOut.withUnsafeMutableBytes { dataOut in
                    contextOut.withUnsafeMutableBytes { contextOut in
                        options.data_in = dataIn.baseAddress
                        options.data_size_in = UInt32(dataIn.count)
                        options.data_out = dataOut.baseAddress
                        options.data_size_out = UInt32(dataOut.count)
                        if !contextIn.isEmpty {
                            options.ctx_in = contextIn.baseAddress
                            options.ctx_size_in = UInt32(contextIn.count)
                            options.ctx_out = contextOut.baseAddress
                            options.ctx_size_out = UInt32(contextOut.count)
                        }
                        return bpf_prog_test_run_opts(descriptor.rawValue, &options)
                    }
                }
            }
        }
        try check(result, "test-running program \(name)")
        return TestRun(
            returnValue: options.retval,
            data: Array(dataOut.prefix(Int(options.data_size_out))),
            context: Array(contextOut.prefix(Int(options.ctx_size_out))),
            nanoseconds: options.duration)
    }

    /// A test run with a typed context, as `__sk_buff`, which is updated with what the program left.
    public func testRun<Context: BitwiseCopyable>(
        data: [UInt8], context: inout Context, repetitions: Int = 1
    ) throws(BPFError) -> TestRun {
        let bytes = withUnsafeBytes(of: context) { Array($0) }
        let run = try testRun(data: data, context: bytes, repetitions: repetitions)
        if run.context.count == MemoryLayout<Context>.size {
            run.context.withUnsafeBytes { context = $0.loadUnaligned(as: Context.self) }
        }
        return run
    }
}
