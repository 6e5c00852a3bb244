// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Binds the calling thread to one CPU.
func stay(onCPU cpu: Int) throws {
    typealias SetAffinity = @convention(c) (pid_t, Int, UnsafePointer<UInt64>) -> Int32
    // Swift's Glibc module leaves sched_setaffinity(2) out.
    guard let symbol = dlsym(nil, "sched_setaffinity") else {
        throw failure("find sched_setaffinity")
    }
    var mask = [UInt64](repeating: 0, count: cpu / 64 + 1)
    mask[cpu / 64] = 1 << UInt64(cpu % 64)
    let bytes = mask.count * MemoryLayout<UInt64>.size
    guard unsafeBitCast(symbol, to: SetAffinity.self)(0, bytes, mask) == 0 else {
        throw failure("stay on CPU \(cpu)")
    }
}

/// The last one: the first often serves interrupts.
func measuringCPU() -> Int { max(0, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1) }
