// SPDX-License-Identifier: Apache-2.0

import MeshModel
import NIOCore

extension TransportAddress {
    /// The kernel's form: IPv4 as itself, so that a socket of either family takes it.
    func socketAddress() throws -> SocketAddress {
        try SocketAddress(ipAddress: "\(address)", port: Int(port))
    }

    init?(_ socketAddress: SocketAddress?) {
        guard let text = socketAddress?.ipAddress, let address = Address(text),
            let port = socketAddress?.port
        else { return nil }
        self.init(address: address, port: UInt16(truncatingIfNeeded: port))
    }
}
