// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshModel
import MeshStore
import MeshTransport

/// Asks the agents of the nodes where a flow begins and may end for what only they know, and puts their
/// words in the place of this node's own.
///
/// Only nodes of the own cluster are asked. Each is believed about itself: the source's node about how it sees
/// everybody else, since its programs go by that; a destination's node about its end alone.
struct FlowInquiry {
    /// Nodes that are asked about one flow; the endpoints of others are judged here.
    static let nodesMaximum = 8

    let bridge: AdminBridge
    let tables: MeshTables
    let source: FlowStory.End
    let traffic: WhyQuestion.Traffic
    let frontend: ServiceStatus?
    private var accounts: [NodeID: FlowAccount] = [:]
    /// Who said nothing isn't asked again.
    private var outcomes: [NodeID: AccountExchange.Outcome] = [:]
    private(set) var sides: [FlowStory.Side] = []

    init(
        bridge: AdminBridge, tables: MeshTables, source: FlowStory.End,
        traffic: WhyQuestion.Traffic, frontend: ServiceStatus?
    ) {
        self.bridge = bridge
        self.tables = tables
        self.source = source
        self.traffic = traffic
        self.frontend = frontend
    }

    private var here: NodeID { bridge.configuration.node }

    /// Nil outside the mesh.
    private var sourceNode: NodeID? { node(at: source.addresses.first) }

    private func node(at text: String?) -> NodeID? {
        text.flatMap(Address.init).flatMap { tables.endpoints[$0]?.node }
    }

    private func isAsked(_ node: NodeID) -> Bool { node.cluster == here.cluster && node != here }

    /// What the choice of a backend goes by at the source, where that is another node of this cluster.
    mutating func sourceSight() async -> FlowAccount? {
        guard let node = sourceNode, isAsked(node), frontend != nil else { return nil }
        let outcome = await ask(node, [])
        guard case .answered(let account) = outcome else {
            outcomes[node] = outcome
            return nil
        }
        return account
    }

    /// Asks everybody at once for what they say of the flow to each of the candidates.
    mutating func ask(about candidates: [FlowStory.Candidate]) async {
        var targets: [NodeID: [AccountAsk.Target]] = [:]
        var order: [NodeID] = []
        if let sourceNode { order.append(sourceNode) }
        let all = candidates.prefix(AccountAsk.targetsMaximum).compactMap { candidate in
            Address(candidate.address).map {
                (
                    target: AccountAsk.Target(address: $0, port: candidate.port ?? 0),
                    node: node(at: candidate.address)
                )
            }
        }
        for (target, node) in all {
            guard let node else { continue }
            if !order.contains(node) { order.append(node) }
            targets[node, default: []].append(target)
        }
        let everything = all.map(\.target)
        if let sourceNode { targets[sourceNode] = everything }
        // What this node refused is told whether an end is here or not.
        accounts[here] = await bridge.account(for: question(1, everything))
        let wanted = order.filter { isAsked($0) && outcomes[$0] == nil }.prefix(Self.nodesMaximum)
        let inquiry = self
        let heard = await withTaskGroup(of: (NodeID, AccountExchange.Outcome).self) { group in
            for node in wanted {
                let targets = targets[node] ?? []
                group.addTask { (node, await inquiry.ask(node, targets)) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        outcomes.merge(heard) { $1 }
        for (node, outcome) in heard {
            if case .answered(let account) = outcome { accounts[node] = account }
        }
        sides = order.map { node in
            side(
                of: node, outcomes[node],
                isDestination: all.contains { $0.node == node })
        }
    }

    private func ask(
        _ node: NodeID, _ targets: [AccountAsk.Target]
    ) async -> AccountExchange.Outcome {
        await bridge.accounts.ask(node) { question($0, targets) }
    }

    private func question(_ id: UInt64, _ targets: [AccountAsk.Target]) -> AccountAsk {
        let addresses = source.addresses.compactMap { Address($0) }
        return AccountAsk(
            id: id,
            source: addresses.isEmpty
                ? .nameless(AccountAsk.Nameless(source.name) ?? .world)
                : .addresses(Array(addresses.prefix(AccountAsk.addressesMaximum))),
            transport: traffic.number,
            frontend: frontend.flatMap { frontend in
                Address(frontend.address).map {
                    AccountAsk.Target(address: $0, port: frontend.port)
                }
            }, targets: targets)
    }
}

// MARK: What came of it

extension FlowInquiry {
    private func side(
        of node: NodeID, _ outcome: AccountExchange.Outcome?, isDestination: Bool
    ) -> FlowStory.Side {
        var roles: [FlowStory.Side.Role] = node == sourceNode ? [.source] : []
        if isDestination { roles.append(.destination) }
        var side = FlowStory.Side(node: name(node), roles: roles, state: .unasked)
        if let account = accounts[node] {
            side.state = .answered
            side.connections = Int(account.connectionCount)
            side.newest = account.connections.map { FlowStory.Connection($0, hasPorts: hasPorts) }
            if isDestination, let sourceNode, sourceNode != node,
                let held = account.nodes.first(where: { $0.node == sourceNode })?.word
            {
                side.sourceVerdict = VerdictName(held.verdict)
                side.sourceVerdictSeconds = seconds(held.sinceMilliseconds)
            }
        } else if case .silent(let reason)? = outcome {
            side.state = .silent
            side.reason = reason
            if bridge.datapath.nodeWord(node).verdict == .unreachable {
                side.reason = "this node holds it for unreachable, and \(reason)"
            }
        } else {
            side.reason =
                node.cluster == here.cluster
                ? "no more than \(Self.nodesMaximum) nodes are asked"
                : "clusters don't ask each other: judged here, by its ledger"
        }
        return side
    }

    private var hasPorts: Bool { if case .port = traffic { true } else { false } }

    private func name(_ node: NodeID) -> String {
        "\(bridge.reference(node.cluster, tables).name)/\(node.name)"
    }

    /// What the source's node said, where that is another one.
    var sourceAccount: FlowAccount? {
        sourceNode.flatMap { $0 == here ? nil : accounts[$0] }
    }

    /// Why the source isn't in place, as its own node says.
    var sourceProblem: String? {
        let own = source.addresses.compactMap { Address($0) }
        return sourceAccount?.parties.first { own.contains($0.address) && !$0.problem.isEmpty }?
            .problem
    }

    /// Why a candidate isn't in place, by address, as its own node says.
    var problems: [String: String] {
        var problems: [String: String] = [:]
        for (node, account) in accounts where node != here {
            for party in account.parties where !party.problem.isEmpty {
                guard tables.endpoints[party.address]?.node == node else { continue }
                problems["\(party.address)"] = party.problem
            }
        }
        return problems
    }

    /// Puts the word of each end's own node in the place of what this one makes of its ledger.
    func judge(_ trace: inout PolicyTraceAnswer, to candidate: FlowStory.Candidate) {
        func judgement(_ node: NodeID?) -> FlowAccount.Judgement? {
            guard let node, node != here else { return nil }
            return accounts[node]?.judgements.first {
                "\($0.target.address)" == candidate.address && $0.target.port == candidate.port ?? 0
            }
        }
        if let egress = judgement(sourceNode)?.egress {
            trace.egress = PolicyTraceAnswer.Decision(egress)
            trace.forgetAuditing(of: trace.source.name)
        }
        if let ingress = judgement(node(at: candidate.address))?.ingress {
            trace.ingress = PolicyTraceAnswer.Decision(ingress)
            trace.forgetAuditing(of: trace.destination.name)
        }
        trace.allows =
            (trace.egress.allows || trace.egress.isAudited)
            && (trace.ingress.allows || trace.ingress.isAudited)
    }

    /// Such flows that this node or those that answered refused lately, the newest last.
    func refused() async -> [Flow] {
        var names = FlowNames()
        var flows: [Flow] = []
        let now = Instant.monotonicNow
        for (node, account) in accounts.sorted(by: { $0.key < $1.key }) {
            for refusal in account.refusals {
                var flow = await bridge.flow(FlowEvent(refusal, at: now), &names)
                flow.node = name(node)
                flow.policy = refusal.policy.isEmpty ? nil : refusal.policy
                flows.append(flow)
            }
        }
        return flows.sorted { $0.timeUnixMilliseconds < $1.timeUnixMilliseconds }
    }
}

private func seconds(_ milliseconds: UInt64) -> Double { Double(milliseconds) / 1000 }

extension WhyQuestion.Traffic {
    /// IP protocol number; 0 for a ping.
    fileprivate var number: UInt8 {
        guard case .port(let transport, _) = self else { return 0 }
        return TransportProtocol.allCases.first { "\($0)" == transport }?.rawValue ?? 0
    }
}

extension PolicyTraceAnswer.Decision {
    fileprivate init(_ decision: FlowAccount.Decision) {
        self.init(
            allows: decision.allows, reason: decision.reason, isAudited: decision.isAudited)
    }
}

extension FlowAddress {
    fileprivate init(_ target: AccountAsk.Target) {
        self.init(address: target.address, port: target.port)
    }
}

extension FlowStory.Connection {
    fileprivate init(_ connection: FlowAccount.Connection, hasPorts: Bool) {
        func text(_ target: AccountAsk.Target) -> String {
            hasPorts ? FlowAddress(target).text : "\(target.address)"
        }
        self.init(
            state: ConnectionEntry.State(connection.state), source: text(connection.opener),
            destination: text(connection.replier),
            ageSeconds: seconds(connection.ageMilliseconds),
            idleSeconds: seconds(connection.idleMilliseconds),
            packetsSent: connection.openerPackets, packetsBack: connection.replierPackets)
    }
}

extension ConnectionEntry.State {
    fileprivate init(_ state: FlowAccount.Connection.State) {
        self =
            switch state {
            case .opening: .opening
            case .established: .established
            case .closing: .closing
            case .reset: .reset
            }
    }
}

extension FlowEvent {
    fileprivate init(_ refusal: FlowAccount.Refusal, at now: Instant) {
        func side(_ target: AccountAsk.Target, _ identity: UInt32) -> FlowSide {
            FlowSide(at: FlowAddress(target), identity: Identity(rawValue: identity))
        }
        let kind: Kind =
            switch refusal.kind {
            case .denied: .denied
            case .dropped: .dropped
            case .reset: .reset
            }
        let ago = Int64(clamping: min(refusal.agoMilliseconds, now.nanoseconds / 1_000_000))
        self.init(
            kind: kind, nanoseconds: (now - .milliseconds(ago)).nanoseconds,
            transport: refusal.transport, source: side(refusal.source, refusal.sourceIdentity),
            destination: side(refusal.destination, refusal.destinationIdentity),
            frontend: refusal.frontend.map { FlowAddress($0) },
            cluster: nil, reason: refusal.reason == 0 ? nil : DropReason(rawValue: refusal.reason),
            packets: 0, bytes: 0, interface: 0)
    }
}
