// SPDX-License-Identifier: Apache-2.0

import Glibc
public import MeshModel

extension Instant {
    /// The kernel's `CLOCK_BOOTTIME`, which goes on while the machine is suspended: a holder that
    /// wakes up late knows that its time is over. Counted from 36 years before the machine's start, for what a
    /// journal holds may be older than that.
    public static var bootNow: Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(
            nanoseconds: beforeStart + UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    private static let beforeStart: UInt64 = 1 << 60
}
