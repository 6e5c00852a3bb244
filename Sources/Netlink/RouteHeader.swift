// SPDX-License-Identifier: Apache-2.0

import Glibc

/// `struct rtmsg`.
struct RouteHeader {
    static let length = 12

    let family: UInt8
    let prefixLength: UInt8
    let table: UInt8
    let scope: UInt8
    let type: UInt8
    let flags: UInt32

    init?(_ payload: ArraySlice<UInt8>) {
        guard let family = payload.number(UInt8.self, at: 0),
            let prefixLength = payload.number(UInt8.self, at: 1),
            let table = payload.number(UInt8.self, at: 4),
            let scope = payload.number(UInt8.self, at: 6),
            let type = payload.number(UInt8.self, at: 7),
            let flags = payload.number(UInt32.self, at: 8)
        else { return nil }
        self.family = family
        self.prefixLength = prefixLength
        self.table = table
        self.scope = scope
        self.type = type
        self.flags = flags
    }

    /// The unspecified address of the route's family: what a default route leads to.
    var any: NetworkAddress? {
        switch Int32(family) {
        case AF_INET: .anyIPv4
        case AF_INET6: .anyIPv6
        default: nil
        }
    }
}
