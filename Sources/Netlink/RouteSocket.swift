// SPDX-License-Identifier: Apache-2.0

/// Links, addresses, routes and neighbours of one network namespace (rtnetlink).
///
/// Calls block until the kernel has carried them out, typically for some ten microseconds. The
/// socket belongs to the namespace it was opened in, and may be used from any one thread at a time.
public struct RouteSocket: ~Copyable {
    var socket: NetlinkSocket

    /// Opens a socket in the network namespace of the calling thread.
    public init() throws(NetlinkError) {
        socket = try NetlinkSocket(protocol: NetlinkProtocol.route, in: nil)
    }

    /// Opens a socket in `namespace`; the calling thread stays where it is.
    public init(in namespace: NetworkNamespace) throws(NetlinkError) {
        socket = try NetlinkSocket(protocol: NetlinkProtocol.route, in: namespace)
    }
}
