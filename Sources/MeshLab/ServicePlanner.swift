// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Gives every service an address in each cluster that has it.
struct ServicePlanner {
    /// In every cluster's prefixes; numbers 0...9 stay free for what people add by hand.
    static let firstNumber: UInt64 = 10

    let clusters: [LabPlan.Cluster]

    func plan(_ services: [LabFile.Service]) throws(LabError) -> [LabPlan.Service] {
        try unique(services.map { "\($0.namespace ?? "default")/\($0.name)" }) {
            "two services are named '\($0)'"
        }
        var plans: [LabPlan.Service] = []
        for (index, service) in services.enumerated() {
            plans.append(try plan(service, number: Self.firstNumber + UInt64(index)))
        }
        return plans
    }

    private func plan(
        _ service: LabFile.Service, number: UInt64
    ) throws(LabError) -> LabPlan.Service {
        let label = "service \(service.name)"
        let objectNamespace = service.namespace ?? "default"
        guard isLabel(service.name), isLabel(objectNamespace) else {
            throw invalid("\(label) in '\(objectNamespace)': a name has letters a-z, digits and -")
        }
        let affinity = service.affinity ?? ServiceAffinity.none.rawValue
        guard ServiceAffinity(rawValue: affinity) != nil else {
            throw invalid("\(label): the affinity '\(affinity)' is not none, local or remote")
        }
        guard !service.selector.isEmpty else { throw invalid("\(label): its selector is empty") }
        let seconds = service.sessionAffinitySeconds ?? 0
        guard (0...86_400).contains(seconds) else {
            throw invalid("\(label): sessionAffinitySeconds is 0 to 86400, not \(seconds)")
        }
        let names = service.clusters ?? clusters.map(\.name)
        if let unknown = names.first(where: { name in !clusters.contains { $0.name == name } }) {
            throw invalid("\(label): there is no cluster '\(unknown)'")
        }
        var addresses: [String: [String]] = [:]
        for cluster in clusters where names.contains(cluster.name) {
            addresses[cluster.name] = try self.addresses(in: cluster, number: number, label)
        }
        var ports: [LabPlan.Port] = []
        for port in service.ports { ports.append(try plan(port, of: service)) }
        guard !ports.isEmpty else { throw invalid("\(label) has no ports") }
        try unique(ports.map(\.name)) { "\(label): two ports are named '\($0)'" }
        return LabPlan.Service(
            name: service.name, objectNamespace: objectNamespace, selector: service.selector,
            ports: ports, isGlobal: service.global ?? true, affinity: affinity,
            sessionAffinitySeconds: seconds, addresses: addresses)
    }

    private func addresses(
        in cluster: LabPlan.Cluster, number: UInt64, _ label: String
    ) throws(LabError) -> [String] {
        var addresses: [String] = []
        for prefix in cluster.serviceCIDRs.compactMap({ Prefix($0) }) {
            let address = prefix.address.advanced(by: number)
            guard prefix.contains(address) else {
                throw invalid("\(label): no address is left in \(prefix) of \(cluster.name)")
            }
            guard !addresses.contains(where: { Address($0)?.isIPv4 == address.isIPv4 }) else {
                continue
            }
            addresses.append("\(address)")
        }
        return addresses
    }

    private func plan(
        _ port: LabFile.Port, of service: LabFile.Service
    ) throws(LabError) -> LabPlan.Port {
        let transport = port.protocol ?? "TCP"
        guard TransportProtocol(transport) != nil else {
            throw invalid("service \(service.name): the protocol '\(transport)' is unknown")
        }
        let target = port.targetPort ?? port.port
        guard let number = UInt16(exactly: port.port), number > 0,
            let target = UInt16(exactly: target), target > 0
        else { throw invalid("service \(service.name): a port is 1 to 65535") }
        let name = port.name ?? (service.ports.count == 1 ? "" : "port-\(number)")
        return LabPlan.Port(
            name: name, port: number, targetPort: target, transport: transport)
    }
}
