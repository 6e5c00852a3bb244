// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import Netlink
import Synchronization

/// What a restarted agent found of its endpoints.
public struct EndpointRestoration: Sendable {
    /// Whole, and prepared again.
    public var restored: [LocalEndpoint] = []
    /// Gone with their namespaces, or never completed: removed, their addresses are free.
    public var lost: [ObjectName] = []
    /// Links of others on which what was lost may have left programs.
    public var strayInterfaces: [UInt32] = []
    /// Whole, but `prepare` failed, or the kernel couldn't be asked: left exactly as they are.
    public var failed: [EndpointError] = []
}

extension EndpointManager {
    /// Compares the state file with the kernel after a restart. Links that still exist aren't
    /// touched: no packet is lost.
    ///
    /// - Parameter prepare: as for ``attach(_:prepare:)``; must be harmless for what is in place.
    public func restore(prepare: Prepare) -> EndpointRestoration {
        var result = EndpointRestoration()
        for record in state.withLock({ $0.records.values.sorted { $0.object < $1.object } }) {
            do throws(EndpointError) {
                try begin(record.object)
                defer { end(record.object) }
                if let endpoint = try restore(record, prepare) {
                    result.restored.append(endpoint)
                } else {
                    result.lost.append(record.object)
                    if !record.ownsLink { result.strayInterfaces.append(record.interfaceIndex) }
                }
            } catch {
                result.failed.append(error)
            }
        }
        return result
    }

    /// - Returns: nil if it was lost, and its remains are removed.
    private func restore(
        _ record: EndpointRecord, _ prepare: Prepare
    ) throws(EndpointError) -> LocalEndpoint? {
        guard let endpoint = record.endpoint, record.phase == .attached,
            let namespace = try surviving(record)
        else {
            try remove(record)
            return nil
        }
        do {
            try prepare(endpoint)
        } catch {
            throw EndpointError(.notPrepared, record.object, "\(error)")
        }
        state.withLock { $0.namespaces[record.object] = namespace }
        return endpoint
    }

    /// The workload's namespace, if the pair that was made still joins it to the node.
    func surviving(_ record: EndpointRecord) throws(EndpointError) -> NetworkNamespace? {
        try kernel(record.object) { () throws(NetlinkError) in
            var socket = try RouteSocket(in: host)
            guard let link = try socket.link(named: record.hostInterface),
                link.index == record.interfaceIndex, link.kind == "veth"
            else { return nil }
            do throws(NetlinkError) {
                let namespace = try NetworkNamespace(path: record.namespacePath)
                var inside = try RouteSocket(in: namespace)
                let address = try inside.link(named: record.interfaceName)?.hardwareAddress
                return address?.description == record.hardwareAddress ? namespace : nil
            } catch  where error.code == .notFound {
                return nil
            }
        }
    }
}
