// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Nanoseconds of `CLOCK_MONOTONIC`, as the lab and its workloads count.
func monotonicNow() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Milliseconds between two moments, zero if the later one comes first.
func milliseconds(from begin: UInt64, to end: UInt64) -> Double {
    Double(end - min(begin, end)) / 1e6
}
