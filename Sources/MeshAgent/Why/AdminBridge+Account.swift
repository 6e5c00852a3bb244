// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshEndpoints
import MeshModel
import MeshStore
import MeshTransport

extension AdminBridge {
    /// What this node says of a flow: of the ends that are attached here, of how it sees the others', and of
    /// what its kernel did.
    ///
    /// - Complexity: with targets, a walk over all tracked connections.
    func account(for ask: AccountAsk) async -> FlowAccount {
        let tables = store.snapshot()
        var account = FlowAccount(
            id: ask.id, endpointMTU: endpointManager.configuration.endpointMTU)
        let status = tables.endpoints.statuses
        account.parties = Set(ask.addresses + ask.targets.map(\.address)).sorted()
            .filter { isHere($0, tables) }
            .map {
                FlowAccount.Party(
                    address: $0, problem: FlowAccount.text(realisation(status($0)).1 ?? ""))
            }
        await addSight(to: &account, ask, tables)
        await addJudgements(to: &account, ask, tables)
        addConnections(to: &account, ask)
        await addRefusals(to: &account, ask)
        return account
    }

    private func isHere(_ address: Address, _ tables: MeshTables) -> Bool {
        tables.endpoints[address]?.node == configuration.node
    }

    /// How this node holds the clusters and nodes that the flow depends on, and what it keeps from a service.
    private func addSight(
        to account: inout FlowAccount, _ ask: AccountAsk, _ tables: MeshTables
    ) async {
        let ends = ask.addresses + ask.targets.map(\.address)
        var nodes = Set(ends.compactMap { tables.endpoints[$0]?.node })
        var clusters = Set(nodes.map(\.cluster))
        if let frontend = ask.frontendKey {
            let entry = tables.frontends.entry(for: frontend)
            account.lag = FlowAccount.text(Self.lag(of: entry))
            for slice in entry?.row.slices ?? [] {
                clusters.insert(slice.cluster)
                for backend in slice.backends {
                    nodes.insert(backend.node)
                    let key = BackendKey(
                        address: backend.address, port: backend.port,
                        transport: frontend.transport)
                    guard let row = tables.quarantines[key],
                        account.quarantines.count < FlowAccount.quarantinesMaximum
                    else { continue }
                    account.quarantines.append(
                        FlowAccount.Quarantine(
                            backend: AccountAsk.Target(address: key.address, port: key.port),
                            sinceMilliseconds: milliseconds(row.since),
                            reason: FlowAccount.text(row.reason)))
                }
            }
        }
        let verdictSince = await health.verdictSince
        account.clusters = clusters.sorted().prefix(FlowAccount.clustersMaximum).map {
            FlowAccount.ClusterWord(
                cluster: $0, word: word(datapath.clusterWord($0), since: verdictSince[$0]))
        }
        let nodeSince = await health.nodeSince
        account.nodes = nodes.filter { !$0.isUnplaced }.sorted().prefix(FlowAccount.nodesMaximum)
            .map {
                FlowAccount.NodeWord(
                    node: $0, word: word(datapath.nodeWord($0), since: nodeSince[$0]))
            }
    }

    private func word(_ word: LivenessWord, since: Instant?) -> FlowAccount.Word {
        FlowAccount.Word(
            verdict: word.verdict ?? .unknown, weight: word.weight,
            sinceMilliseconds: milliseconds(since))
    }

    /// Why the kernel doesn't have a service as it should; empty: it has.
    private static func lag(of entry: TableEntry<ServiceFrontend>?) -> String {
        guard let entry else { return "its agent doesn't know the service yet" }
        let (state, reason) = realisation(entry.status)
        return state == .done ? "" : reason ?? state.rawValue
    }

    /// Since `instant`, or since the agent's start.
    private func milliseconds(_ instant: Instant?) -> UInt64 {
        UInt64(max(0, age(instant) * 1000))
    }

    private func addJudgements(
        to account: inout FlowAccount, _ ask: AccountAsk, _ tables: MeshTables
    ) async {
        let isSource = ask.addresses.contains { isHere($0, tables) }
        for target in ask.targets {
            let isTarget = isHere(target.address, tables)
            guard isSource || isTarget else { continue }
            // What can't be judged here is left to whoever asks.
            guard
                let trace = try? await trace(
                    from: ask.origin(toward: target.address), to: "\(target.address)",
                    traffic: ask.traffic(to: target))
            else { continue }
            account.judgements.append(
                FlowAccount.Judgement(
                    target: target, egress: isSource ? FlowAccount.Decision(trace.egress) : nil,
                    ingress: isTarget ? FlowAccount.Decision(trace.ingress) : nil))
        }
    }

    private func addConnections(to account: inout FlowAccount, _ ask: AccountAsk) {
        guard !ask.addresses.isEmpty, !ask.targets.isEmpty else { return }
        let found: [ConnectionReading]
        do throws(DatapathError) {
            found = try datapath.connections(limit: Self.connectionsMaximum) {
                ask.isAbout(
                    AccountAsk.Target($0.opener.at), AccountAsk.Target($0.replier.at),
                    over: $0.transport)
            }
        } catch {
            return
        }
        account.connectionCount = UInt32(clamping: found.count)
        let now = Instant.monotonicNow
        account.connections = found.sorted { $0.seen > $1.seen }
            .prefix(FlowAccount.connectionsMaximum)
            .map { connection in
                func ago(_ nanoseconds: UInt64) -> UInt64 {
                    UInt64(max(0, (now - Instant(nanoseconds: nanoseconds)).nanoseconds))
                        / 1_000_000
                }
                return FlowAccount.Connection(
                    state: FlowAccount.Connection.State(state(of: connection.flags)),
                    opener: AccountAsk.Target(connection.opener.at),
                    replier: AccountAsk.Target(connection.replier.at),
                    ageMilliseconds: ago(connection.created),
                    idleMilliseconds: ago(connection.seen),
                    openerPackets: connection.opener.packets,
                    replierPackets: connection.replier.packets)
            }
    }

    private func addRefusals(to account: inout FlowAccount, _ ask: AccountAsk) async {
        let now = Instant.monotonicNow
        let refused = ledger.refusals(after: nil, atMost: .max).events.filter {
            ask.isAbout(
                AccountAsk.Target($0.source.at), AccountAsk.Target($0.destination.at),
                over: $0.transport)
        }
        for event in refused.suffix(FlowAccount.refusalsMaximum) {
            guard let kind = FlowAccount.Refusal.Kind(event.kind) else { continue }
            let ago = now - Instant(nanoseconds: event.nanoseconds)
            account.refusals.append(
                FlowAccount.Refusal(
                    kind: kind, agoMilliseconds: UInt64(max(0, ago.nanoseconds)) / 1_000_000,
                    transport: event.transport, source: AccountAsk.Target(event.source.at),
                    sourceIdentity: event.source.identity.rawValue,
                    destination: AccountAsk.Target(event.destination.at),
                    destinationIdentity: event.destination.identity.rawValue,
                    frontend: event.frontend.map(AccountAsk.Target.init),
                    reason: event.reason?.rawValue ?? 0,
                    policy: FlowAccount.text(await explanation(of: event.policy) ?? "")))
        }
    }
}

// MARK: In the words of other parts

extension AccountAsk {
    var frontendKey: FrontendKey? {
        guard let frontend, let transport = TransportProtocol(rawValue: transport) else {
            return nil
        }
        return FrontendKey(
            address: frontend.address, port: frontend.port, transport: transport)
    }

    /// As ``PolicyProvider/trace(from:to:traffic:)`` takes it; of several addresses one that can ask.
    fileprivate func origin(toward target: Address) -> String {
        switch source {
        case .nameless(let source): source.text
        case .addresses(let all):
            (all.first { $0.isIPv4 == target.isIPv4 } ?? all.first)?.description
                ?? Nameless.world.text
        }
    }

    fileprivate func traffic(to target: Target) -> String {
        TransportProtocol(rawValue: transport).map { "\(target.port)/\($0)".lowercased() } ?? "icmp"
    }
}

extension AccountAsk.Nameless {
    init?(_ text: String) {
        guard let found = [Self.world, .host, .remoteNode].first(where: { $0.text == text }) else {
            return nil
        }
        self = found
    }

    var text: String {
        switch self {
        case .world: "world"
        case .host: "host"
        case .remoteNode: "remote-node"
        }
    }
}

extension AccountAsk.Target {
    init(_ side: FlowAddress) { self.init(address: side.address, port: side.port) }
}

extension FlowAccount.Decision {
    fileprivate init(_ decision: PolicyTraceAnswer.Decision) {
        self.init(
            allows: decision.allows, isAudited: decision.isAudited,
            reason: FlowAccount.text(decision.reason))
    }
}

extension FlowAccount.Connection.State {
    fileprivate init(_ state: ConnectionEntry.State) {
        self =
            switch state {
            case .opening: .opening
            case .established: .established
            case .closing: .closing
            case .reset: .reset
            }
    }
}

extension FlowAccount.Refusal.Kind {
    fileprivate init?(_ kind: FlowEvent.Kind) {
        switch kind {
        case .denied: self = .denied
        case .dropped: self = .dropped
        case .reset: self = .reset
        case .opened, .closed, .audited: return nil
        }
    }
}
