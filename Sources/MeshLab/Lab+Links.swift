// SPDX-License-Identifier: Apache-2.0

import Netlink

extension Lab {
    /// Nobody's: the bridge has no port for it.
    private static let nowhere = HardwareAddress(bytes: [0x02, 0, 0, 0, 0, 0x77])

    /// Breaks the link from some nodes to others: what the former send to the latter is lost, and
    /// nothing of what comes back. Lasts until ``mend(from:to:)``, whoever ends meanwhile.
    ///
    /// The senders know the receivers under a hardware address that nobody has, so frames get lost
    /// as on a wire: no error tells anybody. The lab's underlay is IPv4.
    ///
    /// - Parameters:
    ///   - senders: `CLUSTER` or `CLUSTER/NODE`.
    ///   - receivers: the same.
    @discardableResult
    public func sever(from senders: String, to receivers: String) throws -> Moment {
        try change(from: senders, to: receivers) { socket, interface, address in
            guard let nowhere = Self.nowhere else { return }
            try socket.replace(
                Neighbour(interface: interface, address: address, hardwareAddress: nowhere))
        }
    }

    /// As ``sever(from:to:)``, of the UDP datagrams to one port alone: by a rule of the senders' routing,
    /// as a firewall would.
    @discardableResult
    public func sever(from senders: String, to receivers: String, port: UInt16) throws -> Moment {
        try change(from: senders, to: receivers) { socket, _, address in
            do throws(NetlinkError) {
                try socket.add(
                    BlackholeRule(to: address, port: port, priority: Self.rulePriority))
            } catch {
                guard error.code == .exists else { throw error }
            }
        }
    }

    /// Of the rules that lose datagrams: before those of everybody else but the kernel's own table's.
    private static let rulePriority: UInt32 = 1

    /// Undoes ``sever(from:to:)``, of all or of single ports; a link that is whole stays so.
    @discardableResult
    public func mend(from senders: String, to receivers: String) throws -> Moment {
        try change(from: senders, to: receivers) { socket, interface, address in
            try socket.forgetNeighbour(address, of: interface)
            try socket.deleteRules(to: address, priority: Self.rulePriority)
        }
    }

    private func change(
        from senders: String, to receivers: String,
        _ body: (inout RouteSocket, UInt32, NetworkAddress) throws -> Void
    ) throws -> Moment {
        let receivers = try plan.nodes(matching: receivers)
        let began = Self.now()
        for sender in try plan.nodes(matching: senders) {
            var socket = try RouteSocket(in: try NetworkNamespace(named: sender.namespace))
            let interface = try index(of: LabNetwork.interface, &socket)
            for receiver in receivers where receiver.name != sender.name {
                guard let address = NetworkAddress(receiver.underlay) else {
                    throw LabError(
                        .failed, "'\(receiver.underlay)' of node \(receiver.name) is no address")
                }
                try body(&socket, interface, address)
            }
        }
        return Moment(began: began, ended: Self.now())
    }
}
