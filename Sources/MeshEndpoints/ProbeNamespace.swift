// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import Netlink
import Synchronization

extension EndpointManager {
    /// A namespace from which an endpoint of this node would reach `address`: that of the endpoint
    /// behind `interface`, or if it is gone of any other with an address of the same family.
    ///
    /// - Parameter interface: index of the node's end of the veth pair.
    /// - Returns: nil if no endpoint but the one at `address` itself is attached.
    public func namespace(behind interface: UInt32, toward address: Address) -> NetworkNamespace? {
        let clients = endpoints.filter { endpoint in
            !endpoint.addresses.contains(address)
                && endpoint.addresses.contains { $0.isIPv4 == address.isIPv4 }
        }
        let client = clients.first { $0.interfaceIndex == interface } ?? clients.first
        return client.flatMap { client in state.withLock { $0.namespaces[client.object] } }
    }
}
