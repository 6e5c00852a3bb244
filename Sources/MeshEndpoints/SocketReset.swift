// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import Netlink
import Synchronization

extension EndpointManager {
    /// Ends the connections of one endpoint toward addresses that are gone, also those of readers
    /// that only wait and would never send the packet that gets a reset.
    ///
    /// - Parameters:
    ///   - limit: at most so many in this call; what remains is found by the next one.
    ///   - isGone: gets the remote address and port (host byte order) of TCP and connected UDP
    ///     sockets; behind a translated connection that is the backend.
    /// - Returns: how many were ended; `limit` means that there may be more.
    /// - Throws: `.notFound` if the endpoint isn't attached, `.kernel` without
    ///   `CONFIG_INET_DIAG_DESTROY`.
    /// - Complexity: the kernel walks its socket tables four times.
    public func resetSockets(
        of object: ObjectName, atMost limit: Int = .max,
        toward isGone: (Address, UInt16) -> Bool
    ) throws(EndpointError) -> Int {
        guard let namespace = state.withLock({ $0.namespaces[object] }) else {
            throw EndpointError(.notFound, object, "not attached")
        }
        return try kernel(object) { () throws(NetlinkError) in
            var diagnostics = try SocketDiagnostics(in: namespace)
            return try diagnostics.destroySockets(atMost: limit) { socket in
                Address(bytes: socket.remote.bytes).map { isGone($0, socket.remotePort) } ?? false
            }
        }
    }
}
