// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Netlink
import Synchronization

extension EndpointManager {
    /// The endpoint, if it is attached as requested and still whole. What is left of one whose
    /// namespace is gone, or of an attach that a crash interrupted, is removed.
    ///
    /// - Throws: `.exists` if it is attached in another way.
    func present(_ request: EndpointRequest) throws(EndpointError) -> LocalEndpoint? {
        guard let record = state.withLock({ $0.records[request.object] }) else { return nil }
        guard record.phase == .attached, try surviving(record) != nil else {
            try remove(record)
            return nil
        }
        guard record.satisfies(request) else {
            throw EndpointError(
                .exists, request.object,
                "attached with \(record.addresses.joined(separator: ", ")) in "
                    + "\(record.namespacePath); detach it first")
        }
        return record.endpoint
    }

    /// Chooses the addresses and writes them down before anything is made.
    ///
    /// - Parameter cable: the link that is there already; nil for one to be made.
    func reserve(
        _ request: EndpointRequest, _ cable: FoundCable?
    ) throws(EndpointError) -> EndpointRecord {
        let object = request.object
        let pool = AddressPool(prefixes: configuration.podPrefixes)
        var generator = SystemRandomNumberGenerator()
        let hardwareAddress = cable?.hardwareAddress ?? .random(using: &generator)
        let result = state.withLock { state -> Result<EndpointRecord, EndpointError> in
            do throws(EndpointError) {
                let inUse = Set(
                    state.records.values.flatMap { $0.addresses.compactMap { Address($0) } })
                let addresses =
                    if cable != nil {
                        try Self.checkFound(request.addresses ?? [], object, pool, inUse)
                    } else if let requested = request.addresses {
                        try Self.check(requested, object, pool, inUse)
                    } else {
                        try Self.allocate(object, pool, inUse)
                    }
                let record = EndpointRecord(
                    request, addresses: addresses, hardwareAddress: hardwareAddress,
                    cable: cable)
                var records = state.records
                records[object] = record
                try file.write(records.values)
                state.records = records
                return .success(record)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Makes the links, has them prepared, and opens them.
    func wire(
        _ record: inout EndpointRecord, _ namespace: NetworkNamespace, _ prepare: Prepare
    ) throws(EndpointError) -> LocalEndpoint {
        let object = record.object
        var generator = SystemRandomNumberGenerator()
        guard let addresses = record.endpoint?.addresses,
            let hardwareAddress = HardwareAddress(record.hardwareAddress)
        else { throw EndpointError(.state, object, "its record is damaged") }
        let wiring = EndpointWiring(
            record: record, addresses: addresses.compactMap { NetworkAddress($0) },
            hardwareAddress: hardwareAddress,
            hostHardwareAddress: .random(using: &generator), mtu: configuration.endpointMTU)
        record.interfaceIndex = try kernel(object) { () throws(NetlinkError) in
            var socket = try RouteSocket(in: host)
            // The name is ours alone: a link of this name is what a lost state file left behind.
            try socket.deleteLink(named: wiring.record.hostInterface)
            return try wiring.build(host: &socket, in: namespace)
        }
        guard let endpoint = record.endpoint else {
            throw EndpointError(.state, object, "its record is damaged")
        }
        do {
            try prepare(endpoint)
        } catch {
            throw EndpointError(.notPrepared, object, "\(error)")
        }
        try kernel(object) { () throws(NetlinkError) in
            var socket = try RouteSocket(in: host)
            try wiring.open(host: &socket, interface: endpoint.interfaceIndex)
        }
        return endpoint
    }

    /// Removes what a failed attach made.
    ///
    /// - Returns: `error`, with a further sentence if even that failed.
    func undo(_ record: EndpointRecord, after error: EndpointError) -> EndpointError {
        do throws(EndpointError) {
            try remove(record)
            return error
        } catch let second {
            return EndpointError(
                error.code, error.object,
                "\(error.message); and undoing it failed: \(second.message)")
        }
    }

    private static func check(
        _ requested: [Address], _ object: ObjectName, _ pool: AddressPool, _ inUse: Set<Address>
    ) throws(EndpointError) -> [Address] {
        let prefixes = pool.prefixes.map(\.description).joined(separator: ", ")
        guard !requested.isEmpty, Set(requested.map(\.isIPv4)).count == requested.count else {
            throw EndpointError(
                .addressNotInPrefix, object, "request one address of a family, or none at all")
        }
        for address in requested {
            guard pool.offers(address) else {
                throw EndpointError(
                    .addressNotInPrefix, object,
                    "\(address) isn't among this node's workload addresses (\(prefixes))")
            }
            guard !inUse.contains(address) else {
                throw EndpointError(.addressInUse, object, "\(address) is another endpoint's")
            }
        }
        return requested.sorted { $0.isIPv4 && !$1.isIPv4 }
    }

    static func allocate(
        _ object: ObjectName?, _ pool: AddressPool, _ inUse: Set<Address>
    ) throws(EndpointError) -> [Address] {
        var addresses: [Address] = []
        for result in pool.allocate(inUse: inUse) {
            switch result {
            case .success(let address): addresses.append(address)
            case .failure(let exhausted):
                let prefixes = exhausted.prefixes.map(\.description).joined(separator: ", ")
                throw EndpointError(.exhausted, object, "no address is left in \(prefixes)")
            }
        }
        guard !addresses.isEmpty else {
            throw EndpointError(.exhausted, object, "this node has no workload prefixes")
        }
        return addresses
    }
}
