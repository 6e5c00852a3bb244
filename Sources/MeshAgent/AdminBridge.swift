// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshDatapath
import MeshEndpoints
import MeshMembership
import MeshModel
import MeshReplication
import MeshStore
import MeshTransport

/// Answers the admin protocol from the agent's parts.
struct AdminBridge: AdminProvider {
    /// A workload whose labels have no number yet isn't let start for so long.
    private static let identityWait = Duration.milliseconds(500)

    let configuration: AgentConfiguration
    let startedAt: Instant
    let store: MeshStore
    let datapath: any Datapath
    let endpointManager: EndpointManager
    let state: StateService
    /// Nil without an API server.
    let objects: ObjectService?
    let health: HealthService
    let backends: BackendHealthService
    let trust: TrustService
    let mesh: MeshService
    /// Set on the home.
    let rotation: RotationService?
    let denying: DenyService
    let links: LinkService
    /// Set on nodes that hold the CA.
    let authority: AuthorityService?
    let reconciliation: ReconcileService
    let statistics: TransportStatistics
    let hub: FlowHub<FlowEvent>
    let ledger: FlowLedger
    let exchange: FlowExchange
    let accounts: AccountExchange
    let services = ServiceIndex()
    let readerLosses = FlowLosses()
    let socket: DatagramSocket
    let following: ConfigurationService
    let census: MapCensus
    let startedUnixSeconds = unixSeconds()

    func configurationStatus() async throws -> ConfigurationStatus { await following.status }

    func nodes() async throws -> [NodeStatus] {
        let tables = store.snapshot()
        let since = await health.nodeSince
        let members = Dictionary(
            uniqueKeysWithValues: await health.members.map { ($0.name, $0) })
        let endpoints = tables.endpoints.endpointsByNode
        let core = await state.core
        let relays = Set(
            tables.clusters.rows.flatMap { cluster in
                core.relays(of: cluster.id).compactMap { NodeID(cluster: cluster.id, name: $0) }
            })
        return tables.nodes.rows.map { node in
            let word = datapath.nodeWord(node.id)
            return NodeStatus(
                cluster: reference(node.id.cluster, tables), name: node.id.name,
                isLocal: node.isLocal, isRelay: relays.contains(node.id),
                verdict: VerdictName(word.verdict ?? .unknown),
                sinceSeconds: age(since[node.id]), weight: word.weight,
                generation: word.generation, index: datapath.nodeIndex(node.id) ?? 0,
                outerAddresses: node.outerAddresses.map(\.description),
                podPrefixes: node.podPrefixes.map(\.description),
                endpoints: endpoints[node.id] ?? 0,
                membership: node.id.cluster == configuration.cluster
                    ? members[node.id.name].map(membership) : nil)
        }
    }

    private func membership(_ member: MemberStatus) -> MembershipStatus {
        MembershipStatus(
            state: "\(member.state)", incarnation: member.incarnation,
            heardSeconds: member.heardAt.map { age($0) }, accusers: member.accusers)
    }

    func services() async throws -> [ServiceStatus] {
        let tables = store.snapshot()
        return await statuses(of: tables.frontends.entries, tables)
    }

    func statuses(
        of entries: [TableEntry<ServiceFrontend>], _ tables: MeshTables
    ) async -> [ServiceStatus] {
        let affinities = await state.core.tables.affinities
        return entries.map { entry in
            let frontend = entry.row
            let (state, reason) = realisation(entry.status)
            return ServiceStatus(
                namespace: frontend.service.namespace, name: frontend.service.name,
                portName: frontend.portName, address: "\(frontend.key.address)",
                port: frontend.key.port, transport: "\(frontend.key.transport)",
                isGlobal: frontend.isGlobal, affinity: affinities[frontend.service] ?? .none,
                sessionAffinitySeconds: frontend.sessionAffinitySeconds, state: state,
                reason: reason,
                slices: frontend.slices.map { slice in
                    SliceStatus(
                        cluster: reference(slice.cluster, tables), tier: slice.tier,
                        weight: slice.weight,
                        isLive: datapath.clusterWord(slice.cluster).weight > 0,
                        backends: slice.backends.map {
                            BackendStatus(
                                address: "\($0.address)", port: $0.port, node: $0.node.name,
                                isLive: datapath.nodeWord($0.node).weight > 0,
                                quarantine: quarantine($0, frontend.key.transport, tables))
                        })
                })
        }
    }

    private func quarantine(
        _ backend: Backend, _ transport: TransportProtocol, _ tables: MeshTables
    ) -> QuarantineStatus? {
        let key = BackendKey(address: backend.address, port: backend.port, transport: transport)
        return tables.quarantines[key].map {
            QuarantineStatus(sinceSeconds: age($0.since), reason: $0.reason)
        }
    }

    func endpoints(ofThisNode: Bool) async throws -> [EndpointStatus] {
        let tables = store.snapshot()
        let local = Dictionary(
            endpointManager.endpoints.map { ($0.object, $0) }, uniquingKeysWith: { $1 })
        let status = tables.endpoints.statuses
        var endpoints: [EndpointStatus] = []
        // A node's own endpoints are its own cluster's.
        for cluster in clusters(in: tables)
        where !ofThisNode || cluster == configuration.cluster {
            let reference = reference(cluster, tables)
            let rows = await endpointRows(of: cluster, tables).filter {
                !ofThisNode || $0.key.node == configuration.node
            }
            for (id, rows) in rows.sorted(by: { $0.key < $1.key }) {
                let (state, reason) =
                    rows[0].isUnlabelled
                    ? (.pending, "it waits for its pod's object")
                    : realisation(
                        rows.lazy.map { status($0.address) }.first { $0 != .done } ?? .done)
                let identity = rows[0].identity
                let isLocal = id.node == configuration.node
                endpoints.append(
                    EndpointStatus(
                        namespace: id.object.namespace, name: id.object.name, cluster: reference,
                        node: id.node.name, isLocal: isLocal,
                        addresses: rows.map(\.address).sorted().map(\.description),
                        identity: identity.rawValue,
                        labels: tables.identities[identity]?.labels ?? [:],
                        interface: isLocal ? local[id.object]?.hostInterface : nil,
                        state: state, reason: reason))
            }
        }
        return endpoints
    }

    /// In the order of their IDs, the own one included.
    private func clusters(in tables: MeshTables) -> [ClusterID] {
        Set(tables.clusters.unorderedRows.map(\.id)).union([configuration.cluster]).sorted()
    }

    /// Rows of all clusters by endpoint.
    func endpointRows(_ tables: MeshTables) async -> [EndpointID: [EndpointRow]] {
        var rows: [EndpointID: [EndpointRow]] = [:]
        for cluster in clusters(in: tables) {
            rows.merge(await endpointRows(of: cluster, tables)) { $0 + $1 }
        }
        return rows
    }

    /// Rows of a cluster by endpoint. Names of other clusters' endpoints stand in their ledgers only.
    private func endpointRows(
        of cluster: ClusterID, _ tables: MeshTables
    ) async -> [EndpointID: [EndpointRow]] {
        var rows: [EndpointID: [EndpointRow]] = [:]
        guard cluster != configuration.cluster else {
            tables.endpoints.forEachBlock(of: 1024) { block in
                for row in block {
                    guard let object = row.object else { continue }
                    rows[EndpointID(node: row.node, object: object), default: []].append(row)
                }
            }
            return rows
        }
        await state.replica(of: cluster)?.forEachEndpoint { entry in
            guard let record = EndpointRecord(entry) else { return }
            let owner = EndpointOwner(cluster: cluster, key: record.key)
            for address in Set(record.addresses) {
                guard let row = tables.endpoints[address], row.owner == owner else { continue }
                rows[EndpointID(node: row.node, object: record.object), default: []].append(row)
            }
        }
        return rows
    }

    func identities() async throws -> [IdentityStatus] {
        let tables = store.snapshot()
        let users = tables.endpoints.census { $0.identity }
        return tables.identities.rows.map { row in
            IdentityStatus(
                identity: row.identity.rawValue,
                cluster: row.identity.cluster.map { reference($0, tables) },
                reservedName: row.identity.reserved.map { "\($0)" },
                labels: row.labels, endpoints: users[row.identity] ?? 0)
        }
    }

    func drops() async throws -> [DropCount] {
        try datapath.counters().compactMap { reading in
            guard case .drop(let reason) = reading.subject, reason.rawValue != 0 else { return nil }
            return DropCount(
                label: reason.label, sentence: reason.sentence, packets: reading.packets,
                bytes: reading.bytes)
        }
    }

    func attach(_ request: AttachRequest) async throws -> EndpointStatus {
        let object = ObjectName(namespace: request.namespace, name: request.name)
        guard isLabel(object.namespace), isSubdomain(object.name) else {
            throw AdminFault(
                .invalidRequest, "'\(object)' is not a namespace and a name",
                hint: "both are DNS names of a-z, 0-9 and -")
        }
        guard await state.hasReadFolder else {
            throw AdminFault(
                .unavailable, "the agent is still reading its folder of manifests",
                hint: "try again in a moment")
        }
        let addresses = try request.addresses.map(parse)
        let attached: LocalEndpoint
        do throws(EndpointError) {
            attached = try endpointManager.attach(
                EndpointRequest(
                    object: object, labels: request.labels,
                    namespacePath: request.namespacePath, addresses: addresses)
            ) { endpoint in
                try datapath.attach(endpointInterface: endpoint.interfaceIndex)
            }
        } catch {
            throw fault(error)
        }
        await state.endpointsChanged()
        await reconciliation.reconcile()
        await awaitIdentity(of: attached.addresses)
        guard
            let status = try await endpoints(ofThisNode: true).first(where: {
                $0.namespace == object.namespace && $0.name == object.name
            })
        else { throw AdminFault(.internalError, "\(object) is attached but not in the table") }
        return status
    }

    func parse(_ addresses: [String]) throws(AdminFault) -> [Address] {
        var parsed: [Address] = []
        for text in addresses {
            guard let address = Address(text) else {
                throw AdminFault(
                    .invalidRequest, "'\(text)' is not an IP address",
                    hint: "write it as 10.1.0.5 or fd00::5")
            }
            parsed.append(address)
        }
        return parsed
    }

    /// So that the workload's first packet bears it. Where no publisher answers it isn't waited for.
    func awaitIdentity(of addresses: [Address]) async {
        let deadline = Instant.monotonicNow + Self.identityWait
        for await _ in AsyncTimer(every: .milliseconds(10)) {
            let isDue = store.read { tables in
                addresses.contains {
                    tables.endpoints[$0]?.identity.reserved == .initializing
                }
            }
            guard isDue, await state.core.publisherAnswers, .monotonicNow < deadline else { break }
        }
        await reconciliation.reconcile()
    }

    func detach(_ object: ObjectName) async throws {
        let detached: LocalEndpoint?
        do throws(EndpointError) {
            detached = try endpointManager.detach(object)
        } catch {
            throw fault(error)
        }
        guard let detached else {
            throw AdminFault(
                .notFound, "no endpoint \(object) is attached to this node",
                hint: "weft endpoint list --local shows those that are")
        }
        try datapath.detach(endpointInterface: detached.interfaceIndex)
        await state.endpointsChanged()
        await reconciliation.reconcile()
    }

    func drain(_ draining: Bool) async throws { await state.setDraining(draining) }

    func fault(_ error: EndpointError) -> AdminFault {
        switch error.code {
        case .unknownNamespace: AdminFault(.notFound, "\(error)")
        case .exists, .addressInUse, .busy, .unusableLink: AdminFault(.conflict, "\(error)")
        case .addressNotInPrefix: AdminFault(.invalidRequest, "\(error)")
        case .notFound: AdminFault(.notFound, "\(error)")
        case .exhausted: AdminFault(.unavailable, "\(error)")
        default: AdminFault(.internalError, "\(error)")
        }
    }
}

/// An endpoint is known by its node and its name.
struct EndpointID: Hashable, Comparable {
    let node: NodeID
    let object: ObjectName

    static func < (left: EndpointID, right: EndpointID) -> Bool {
        (left.node, left.object) < (right.node, right.object)
    }
}

extension EndpointRow {
    /// An endpoint of this node whose labels nobody has said yet.
    fileprivate var isUnlabelled: Bool { local != nil && workload == nil }
}

func realisation(_ status: RowStatus) -> (Realisation, String?) {
    switch status {
    case .pending: (.pending, nil)
    case .done: (.done, nil)
    case .error(let reason): (.error, reason)
    }
}

extension AdminBridge {
    func reference(_ cluster: ClusterID, _ tables: MeshTables) -> ClusterReference {
        ClusterReference(
            name: tables.clusters[cluster]?.name.rawValue ?? "\(cluster)", id: cluster.rawValue)
    }

    /// Seconds since `instant`, or since the agent's start.
    func age(_ instant: Instant?) -> Double {
        (Instant.monotonicNow - (instant ?? startedAt)).seconds
    }
}
