// SPDX-License-Identifier: Apache-2.0

import MeshModel
import NIOCore

extension TransportAddress {
    /// The kernel's form: IPv4 as itself, so that a socket of either family takes it.
    func socketAddress() throws -> SocketAddress {
        try SocketAddress(ipAddress: "\(address)", port: Int(port))
    }

    init?(_ socketAddress: SocketAddress?) {
        guard let port = socketAddress?.port else { return nil }
        let address: Address?
        switch socketAddress {
        // ip(7): `sockaddr_in` has family and port before the address; ipv6(7): `sockaddr_in6` has
        // the flow label, too. Through text it would cost more than to open a datagram.
        case .v4(let ipv4):
            address = withUnsafeBytes(of: ipv4.address) { Address(bytes: $0[4..<8]) }
        case .v6(let ipv6):
            address = withUnsafeBytes(of: ipv6.address) { Address(bytes: $0[8..<24]) }
        default: return nil
        }
        guard let address else { return nil }
        self.init(address: address, port: UInt16(truncatingIfNeeded: port))
    }
}
