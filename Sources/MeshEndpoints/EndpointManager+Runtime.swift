// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import Netlink
import Synchronization

/// A veth pair that somebody else made for a workload.
struct FoundCable {
    let hostInterface: String
    /// Of the node's end.
    let interfaceIndex: UInt32
    /// Of the workload's end.
    let hardwareAddress: HardwareAddress
}

/// What container runtimes ask for: they know attachments, not objects.
extension EndpointManager {
    public func endpoint(attachedAs key: RuntimeAttachment.Key) -> LocalEndpoint? {
        endpoints.first { $0.attachment?.key == key }
    }

    /// Where an endpoint with a link of ours sends everything.
    public static func gateway(of address: Address) -> String {
        address.isIPv4 ? EndpointWiring.gatewayIPv4 : EndpointWiring.gatewayIPv6
    }

    /// Compares an attachment with the kernel.
    ///
    /// - Throws: `.notFound` if there is none, or if its namespace or its link isn't what it was.
    public func check(_ key: RuntimeAttachment.Key) throws(EndpointError) -> LocalEndpoint {
        guard let record = record(of: key), let endpoint = record.endpoint else {
            throw EndpointError(
                .notFound, nil,
                "container \(key.container) has no interface \(key.interface) here")
        }
        guard record.phase == .attached, try surviving(record) != nil else {
            throw EndpointError(
                .notFound, record.object,
                "\(record.hostInterface) doesn't lead to \(record.interfaceName) in "
                    + "\(record.namespacePath) any more")
        }
        return endpoint
    }

    /// Removes what a runtime had attached; see ``detach(_:)``. Another attachment that has taken over
    /// the object's name stays.
    ///
    /// - Returns: what was attached; nil if nothing was, which is success.
    public func detach(_ key: RuntimeAttachment.Key) throws(EndpointError) -> LocalEndpoint? {
        guard let object = record(of: key)?.object else { return nil }
        try begin(object)
        defer { end(object) }
        guard let record = state.withLock({ $0.records[object] }), record.attachment?.key == key
        else { return nil }
        try remove(record)
        return record.endpoint
    }

    private func record(of key: RuntimeAttachment.Key) -> EndpointRecord? {
        state.withLock { $0.records.values.first { $0.attachment?.key == key } }
    }

    /// The node's end of the link that a plugin before this one made.
    ///
    /// - Throws: `.unusableLink` if there is none that ends at this node.
    func findCable(
        _ request: EndpointRequest, _ namespace: NetworkNamespace
    ) throws(EndpointError) -> FoundCable {
        let name = request.interfaceName
        let found = try kernel(request.object) { () throws(NetlinkError) -> FoundCable? in
            var inside = try RouteSocket(in: namespace)
            guard let link = try inside.link(named: name), let address = link.hardwareAddress
            else { return nil }
            var socket = try RouteSocket(in: host)
            guard let end = try socket.vethEnd(of: link.index, in: namespace) else { return nil }
            return FoundCable(
                hostInterface: end.name, interfaceIndex: end.index, hardwareAddress: address)
        }
        guard let found else {
            throw EndpointError(
                .unusableLink, request.object,
                "\(name) in \(request.namespacePath) is no veth that ends at this node: only such "
                    + "interfaces can be taken over from another plugin")
        }
        return found
    }

    /// Forgets those that had one of the addresses and whose links are gone: whoever chooses
    /// addresses knew that before.
    func releaseLost(holding addresses: [Address]) throws(EndpointError) {
        let texts = Set(addresses.map(\.description))
        let holders = state.withLock { state in
            state.records.values.filter { !$0.ownsLink && !texts.isDisjoint(with: $0.addresses) }
        }
        for holder in holders.sorted(by: { $0.object < $1.object }) {
            guard state.withLock({ $0.changing.insert(holder.object).inserted }) else { continue }
            defer { end(holder.object) }
            if try surviving(holder) == nil { try remove(holder) }
        }
    }

    /// Puts the programs on a link that is there.
    func adopt(
        _ record: EndpointRecord, _ prepare: Prepare
    ) throws(EndpointError) -> LocalEndpoint {
        guard let endpoint = record.endpoint else {
            throw EndpointError(.state, record.object, "its record is damaged")
        }
        do {
            try prepare(endpoint)
        } catch {
            throw EndpointError(.notPrepared, record.object, "\(error)")
        }
        return endpoint
    }

    /// Whoever chose the addresses may have chosen any of the node's prefixes; outside them nobody
    /// would believe this node that they are here.
    static func checkFound(
        _ found: [Address], _ object: ObjectName, _ pool: AddressPool, _ inUse: Set<Address>
    ) throws(EndpointError) -> [Address] {
        guard (1...RecordLimit.addresses).contains(found.count) else {
            throw EndpointError(
                .addressNotInPrefix, object,
                "its link has \(found.count) addresses, 1 to \(RecordLimit.addresses) can be told")
        }
        for address in found {
            let isOurs = pool.prefixes.contains {
                $0.isIPv4 == address.isIPv4 && $0.contains(address)
            }
            guard isOurs else {
                let prefixes = pool.prefixes.map(\.description).joined(separator: ", ")
                throw EndpointError(
                    .addressNotInPrefix, object,
                    "\(address) lies outside this node's prefixes (\(prefixes))")
            }
            guard !inUse.contains(address) else {
                throw EndpointError(.addressInUse, object, "\(address) is another endpoint's")
            }
        }
        return found.sorted { ($0.isIPv4 ? 0 : 1, $0) < ($1.isIPv4 ? 0 : 1, $1) }
    }
}
