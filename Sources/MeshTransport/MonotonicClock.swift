// SPDX-License-Identifier: Apache-2.0

import Glibc
public import MeshModel

extension Instant {
    /// The kernel's `CLOCK_MONOTONIC`, which protocol cores get as an argument.
    public static var monotonicNow: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}
