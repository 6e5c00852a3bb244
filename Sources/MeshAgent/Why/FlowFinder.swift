// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import MeshReplication
import MeshStore

/// What the words of a flow's question mean.
struct FlowFinder {
    /// Names that a suggestion is looked for among.
    private static let namesMaximum = 20_000

    let bridge: AdminBridge
    let tables: MeshTables
    let core: StateCore

    /// What a name stands for; of a service all its frontends.
    struct Found {
        let end: FlowStory.End
        var frontends: [ServiceStatus] = []
    }

    private struct Name {
        let cluster: ClusterID?
        let namespace: String?
        let name: String

        var text: String { namespace.map { "\($0)/\(name)" } ?? name }
    }

    func source(_ text: String, _ notes: inout [String]) async throws -> FlowStory.End {
        let (endpoint, service) = try await find(text)
        if let endpoint { return endpoint }
        guard let service else { throw await unknown(text) }
        let backends = service.frontends.flatMap(\.slices).flatMap(\.backends)
        let first = backends.lazy.compactMap { self.endpoint(at: $0.address) }
        guard let address = first.first else {
            throw AdminFault(
                .notFound, "\(text) is a service without workloads: nothing of it sends",
                hint: "name the endpoint that the flow comes from")
        }
        let end = await describe(address)
        notes.append("\(text) is a service: this is about \(end.name), one of its workloads")
        return end
    }

    func destination(_ text: String, _ notes: inout [String]) async throws -> Found {
        let (endpoint, service) = try await find(text)
        if let service {
            if let address = endpoint?.addresses.first {
                notes.append("there is an endpoint \(text), too: ask for \(address) to reach it")
            }
            return service
        }
        guard let endpoint else { throw await unknown(text) }
        return Found(end: endpoint)
    }

    private func find(_ text: String) async throws -> (FlowStory.End?, Found?) {
        if ["world", "host", "remote-node"].contains(text) {
            return (FlowStory.End(kind: .other, name: text), nil)
        }
        if let address = Address(text) {
            let frontends = await services { $0.key.address == address }
            if let first = frontends.first { return (nil, found(first, frontends)) }
            guard let row = endpoint(at: "\(address)") else {
                return (FlowStory.End(kind: .other, name: text, addresses: ["\(address)"]), nil)
            }
            return (await describe(row), nil)
        }
        let name = try parse(text)
        return (try await endpoint(name, text), try await service(name, text))
    }

    private func parse(_ text: String) throws -> Name {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let path = parts[parts.count - 1].split(separator: "/", omittingEmptySubsequences: false)
            .map(String.init)
        guard (1...2).contains(parts.count), (1...2).contains(path.count),
            isSubdomain(path[path.count - 1]), path.count == 1 || isLabel(path[0])
        else {
            throw AdminFault(
                .invalidRequest, "'\(text)' names no end of a flow",
                hint: "write [CLUSTER:][NAMESPACE/]NAME, an address, world, host or remote-node")
        }
        var cluster: ClusterID?
        if parts.count == 2 {
            guard let row = tables.clusters.rows.first(where: { $0.name.rawValue == parts[0] })
            else { throw AdminFault.unknownCluster(parts[0], tables) }
            cluster = row.id
        }
        return Name(
            cluster: cluster, namespace: path.count == 2 ? path[0] : nil, name: path[path.count - 1]
        )
    }
}

// MARK: Services

extension FlowFinder {
    private func services(
        where isWanted: (ServiceFrontend) -> Bool
    ) async -> [ServiceStatus] {
        let rows = tables.frontends.unorderedRows.filter(isWanted).sorted { $0.key < $1.key }
        return await bridge.statuses(
            of: rows.compactMap { tables.frontends.entry(for: $0.key) }, tables)
    }

    /// Only this cluster's own have frontends here.
    private func service(_ name: Name, _ text: String) async throws -> Found? {
        guard name.cluster == nil || name.cluster == bridge.configuration.cluster else {
            return nil
        }
        let frontends = await services {
            $0.service.name == name.name
                && (name.namespace == nil || $0.service.namespace == name.namespace)
        }
        let namespaces = Set(frontends.map(\.namespace)).sorted()
        guard namespaces.count > 1 else { return frontends.first.map { found($0, frontends) } }
        guard namespaces.contains("default") else {
            throw ambiguous(text, namespaces.map { "\($0)/\(name.name)" })
        }
        let chosen = frontends.filter { $0.namespace == "default" }
        return chosen.first.map { found($0, chosen) }
    }

    private func found(_ first: ServiceStatus, _ frontends: [ServiceStatus]) -> Found {
        var addresses: [String] = []
        for frontend in frontends where !addresses.contains(frontend.address) {
            addresses.append(frontend.address)
        }
        return Found(
            end: FlowStory.End(
                kind: .service, name: "\(first.namespace)/\(first.name)",
                cluster: bridge.configuration.clusterName.rawValue, addresses: addresses),
            frontends: frontends)
    }
}

// MARK: Endpoints

extension FlowFinder {
    private func endpoint(at text: String) -> EndpointRow? {
        Address(text).flatMap { tables.endpoints[$0] }
    }

    private func describe(_ row: EndpointRow) async -> FlowStory.End {
        var names = EndpointNames()
        let core = core
        let object = await names.name(of: row) { core.synchroniser.replica(of: $0) }
        return end("\(row.address)", object, [row])
    }

    private func end(_ text: String, _ object: ObjectName?, _ rows: [EndpointRow]) -> FlowStory.End
    {
        let row = rows[0]
        let isHere = row.node == bridge.configuration.node
        let status = tables.endpoints.statuses
        return FlowStory.End(
            kind: .endpoint, name: object.map { "\($0)" } ?? text,
            cluster: bridge.reference(row.node.cluster, tables).name, node: row.node.name,
            isHere: isHere, addresses: rows.map(\.address).sorted().map(\.description),
            identity: row.identity.rawValue, labels: tables.identities[row.identity]?.labels ?? [:],
            problem: rows.lazy.compactMap { realisation(status($0.address)).1 }.first)
    }

    private func endpoint(_ name: Name, _ text: String) async throws -> FlowStory.End? {
        let own = bridge.configuration.cluster
        let clusters = name.cluster.map { [$0] } ?? ([own] + others)
        // Nearly always it is there, and few are looked at.
        let object = ObjectName(namespace: name.namespace ?? "default", name: name.name)
        var hits: [(cluster: ClusterID, rows: [EndpointRow])] = clusters.compactMap { cluster in
            guard let known = core.endpoint(object, of: cluster, tables) else { return nil }
            let rows = known.addresses.compactMap { tables.endpoints[$0] }
                .filter { $0.node.cluster == cluster }
            return rows.isEmpty ? nil : (cluster, rows)
        }
        if let first = hits.first, hits.count == 1 || first.cluster == own {
            return end(text, object, first.rows)
        }
        if hits.count > 1 {
            throw ambiguous(text, hits.map { "\(clusterName($0.cluster)):\(name.text)" })
        }
        let matches = await bridge.endpointRows(tables).filter { id, _ in
            id.object.name == name.name
                && (name.namespace == nil || name.namespace == id.object.namespace)
                && (name.cluster == nil || name.cluster == id.node.cluster)
        }.sorted { $0.key < $1.key }
        let here = matches.filter { $0.key.node.cluster == own }
        let best = here.isEmpty ? matches : here
        guard best.count <= 1 else {
            throw ambiguous(
                text, best.map { "\(clusterName($0.key.node.cluster)):\($0.key.object)" })
        }
        hits = best.map { ($0.key.node.cluster, $0.value) }
        return best.first.map { end(text, $0.key.object, $0.value) }
    }

    private var others: [ClusterID] {
        tables.clusters.rows.filter { !$0.isLocal }.map(\.id)
    }

    private func clusterName(_ cluster: ClusterID) -> String {
        bridge.reference(cluster, tables).name
    }
}

// MARK: What isn't known

extension FlowFinder {
    private func ambiguous(_ text: String, _ names: [String]) -> AdminFault {
        let shown = names.prefix(5).joined(separator: ", ")
        return AdminFault(
            .invalidRequest, "'\(text)' may be any of \(names.count): \(shown)",
            hint: "write one of them")
    }

    private func unknown(_ text: String) async -> AdminFault {
        let own = bridge.configuration.cluster
        let cluster = (try? parse(text))?.cluster
        let endpoints = await bridge.endpointRows(tables).keys.lazy
            .filter { cluster == nil || $0.node.cluster == cluster }.map { "\($0.object)" }
        var names = Set(endpoints.prefix(Self.namesMaximum))
        let knowsServices = cluster == nil || cluster == own
        if knowsServices {
            names.formUnion(tables.frontends.unorderedRows.lazy.map { "\($0.service)" })
        }
        let bare = text.split(separator: ":").last.map(String.init) ?? text
        let prefix = String(text.dropLast(bare.count))
        let candidates = names.map {
            prefix + (bare.contains("/") ? $0 : String($0.split(separator: "/")[1]))
        }
        return knowsServices
            ? AdminFault(
                unknown: "endpoint or service", text, among: candidates,
                hint: "weft endpoint list and weft service list show them; of another cluster, "
                    + "write CLUSTER:NAMESPACE/NAME")
            : AdminFault(
                unknown: "endpoint", text, among: candidates,
                hint: "weft endpoint list shows them; of another cluster only endpoints can be "
                    + "named, a service by its name here")
    }
}

// MARK: Which frontend

extension FlowFinder.Found {
    /// - Throws: ``AdminFault`` for a port that the service doesn't have.
    func traffic(
        _ question: WhyQuestion, _ notes: inout [String]
    ) throws -> WhyQuestion.Traffic {
        guard !frontends.isEmpty else {
            if question.traffic == nil {
                notes.append("no port was named: this is about a ping")
            }
            return question.traffic ?? .icmp
        }
        let known = ports.map { "\($0.port)/\($0.transport.lowercased())" }
        switch question.traffic {
        case .icmp:
            throw AdminFault(
                .invalidRequest, "\(end.name) is a service, and services answer no ping",
                hint: "name a port: \(known.joined(separator: ", "))")
        case .port(let transport, let number):
            guard ports.contains(where: { $0.port == number && $0.transport == transport }) else {
                throw AdminFault(
                    .notFound, "\(end.name) has no port \(number)/\(transport.lowercased())",
                    hint: "name one that it has: \(known.joined(separator: ", "))")
            }
            return .port(transport: transport, number: number)
        case nil:
            let chosen = ports.first { $0.transport == "TCP" } ?? ports[0]
            if ports.count > 1 {
                notes.append(
                    "no port was named: this is about \(chosen.transport) \(chosen.port); there are "
                        + known.joined(separator: ", "))
            }
            return .port(transport: chosen.transport, number: chosen.port)
        }
    }

    /// Of the addresses that it has, one that the client can ask.
    func frontend(
        for traffic: WhyQuestion.Traffic, client: FlowStory.End
    ) throws -> ServiceStatus? {
        guard case .port(let transport, let number) = traffic else { return nil }
        let matching = frontends.filter { $0.port == number && $0.transport == transport }
        let isIPv4 = client.addresses.contains { !$0.contains(":") }
        return matching.first { !$0.address.contains(":") == isIPv4 } ?? matching.first
    }

    private var ports: [(port: UInt16, transport: String)] {
        var seen: Set<String> = []
        return frontends.sorted { ($0.transport, $0.port) < ($1.transport, $1.port) }.filter {
            seen.insert("\($0.port)/\($0.transport)").inserted
        }.map { ($0.port, $0.transport) }
    }
}
