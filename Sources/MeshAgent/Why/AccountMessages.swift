// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What one node asks another one of its cluster about one flow: what only that one knows.
struct AccountAsk: Hashable, Sendable {
    static let addressesMaximum = 16
    static let targetsMaximum = 16

    /// Who opens the flow.
    enum Source: Hashable, Sendable {
        case addresses([Address])
        case nameless(Nameless)
    }

    /// Who has no address that could be named.
    enum Nameless: UInt8, Sendable {
        case world = 1
        case host = 2
        case remoteNode = 3
    }

    /// An address of an end. The port is 0 for a ping.
    struct Target: Hashable, Sendable {
        let address: Address
        let port: UInt16
    }

    /// What the answer repeats. Never used again by the node that asks.
    let id: UInt64
    let source: Source
    /// IP protocol number of TCP, UDP or SCTP; 0: a ping.
    let transport: UInt8
    /// The service's address that is asked for; nil: none.
    let frontend: Target?
    /// Where the flow may go, at most ``targetsMaximum``; empty while the source's node is asked for what the
    /// choice goes by.
    let targets: [Target]
}

/// What a node says of a flow. It is believed about its own ends, connections and drops, and about how it
/// sees the rest; see ``fault(as:)``.
struct FlowAccount: Hashable, Sendable {
    static let clustersMaximum = 64
    static let nodesMaximum = 256
    static let quarantinesMaximum = 64
    static let connectionsMaximum = 8
    static let refusalsMaximum = 8
    /// Of any text; longer ones are cut by who writes them.
    static let textBytes = 512

    /// An end of the flow that is attached to the node.
    struct Party: Hashable, Sendable {
        let address: Address
        /// Why it isn't in place; empty: it is.
        let problem: String
    }

    /// How the node holds a cluster or another node.
    struct Word: Hashable, Sendable {
        let verdict: Verdict
        /// 0...255; 0 takes no new flow.
        let weight: UInt8
        let sinceMilliseconds: UInt64
    }

    struct ClusterWord: Hashable, Sendable {
        let cluster: ClusterID
        let word: Word
    }

    struct NodeWord: Hashable, Sendable {
        let node: NodeID
        let word: Word
    }

    struct Quarantine: Hashable, Sendable {
        let backend: AccountAsk.Target
        let sinceMilliseconds: UInt64
        let reason: String
    }

    /// What the policies of an end say.
    struct Decision: Hashable, Sendable {
        let allows: Bool
        /// Denied, but reported only.
        let isAudited: Bool
        let reason: String
    }

    /// Nil: that end is on another node.
    struct Judgement: Hashable, Sendable {
        let target: AccountAsk.Target
        let egress: Decision?
        let ingress: Decision?
    }

    /// Of the node's kernel.
    struct Connection: Hashable, Sendable {
        enum State: UInt8, Sendable {
            case opening = 1
            case established = 2
            case closing = 3
            case reset = 4
        }

        let state: State
        let opener: AccountAsk.Target
        let replier: AccountAsk.Target
        let ageMilliseconds: UInt64
        let idleMilliseconds: UInt64
        let openerPackets: UInt64
        let replierPackets: UInt64
    }

    /// A flow that the node refused.
    struct Refusal: Hashable, Sendable {
        enum Kind: UInt8, Sendable {
            case denied = 1
            case dropped = 2
            case reset = 3
        }

        let kind: Kind
        let agoMilliseconds: UInt64
        /// IP protocol number.
        let transport: UInt8
        let source: AccountAsk.Target
        let sourceIdentity: UInt32
        let destination: AccountAsk.Target
        let destinationIdentity: UInt32
        let frontend: AccountAsk.Target?
        /// Number of the drop reason, whose list only grows; 0: none.
        let reason: UInt16
        /// Which policy decided against it; empty: none.
        let policy: String
    }

    let id: UInt64
    /// Why there is no other answer; empty: there is.
    var refusal = ""
    /// Of the node's endpoints, bytes.
    var endpointMTU: UInt32 = 0
    var parties: [Party] = []
    /// Why the kernel doesn't have the service as it should; empty: it has.
    var lag = ""
    /// Of the clusters and nodes at the ends, and of all backends.
    var clusters: [ClusterWord] = []
    var nodes: [NodeWord] = []
    var quarantines: [Quarantine] = []
    var judgements: [Judgement] = []
    /// Such connections there are in all.
    var connectionCount: UInt32 = 0
    /// The newest, the newest first.
    var connections: [Connection] = []
    /// The newest, the newest last.
    var refusals: [Refusal] = []
}

extension AccountAsk {
    var addresses: [Address] {
        if case .addresses(let addresses) = source { addresses } else { [] }
    }

    /// Whether a flow is one of those that are asked about.
    ///
    /// - Parameter transport: IP protocol number.
    func isAbout(_ from: Target, _ to: Target, over transport: UInt8) -> Bool {
        guard addresses.contains(from.address) else { return false }
        guard self.transport != 0 else {
            return Self.pings.contains(transport)
                && (targets + [frontend].compactMap(\.self)).contains { $0.address == to.address }
        }
        return transport == self.transport && (to == frontend || targets.contains(to))
    }

    /// ICMP and ICMPv6.
    static let pings: [UInt8] = [1, 58]
}

extension FlowAccount {
    /// What is wrong with it as an answer to `ask`; nil: nothing.
    func fault(as ask: AccountAsk) -> String? {
        let ends = Set(ask.addresses + ask.targets.map(\.address))
        guard parties.allSatisfy({ ends.contains($0.address) }) else {
            return "it speaks of ends that it wasn't asked about"
        }
        guard judgements.allSatisfy({ ask.targets.contains($0.target) }) else {
            return "it judges what it wasn't asked about"
        }
        // A ping's numbers are no ports.
        let transport = ask.transport == 0 ? AccountAsk.pings[0] : ask.transport
        guard connections.allSatisfy({ ask.isAbout($0.opener, $0.replier, over: transport) }),
            refusals.allSatisfy({ ask.isAbout($0.source, $0.destination, over: $0.transport) })
        else { return "it shows other flows than it was asked about" }
        return nil
    }

    /// A text as an answer may hold it: without control characters, which could move a terminal's cursor,
    /// and no longer than ``textBytes``.
    static func text(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        var room = textBytes
        for scalar in text.unicodeScalars {
            room -= UTF8.width(scalar)
            guard room >= 0 else { break }
            scalars.append(scalar.isControl ? " " : scalar)
        }
        return String(scalars)
    }
}

// MARK: As bytes

extension ByteWriter {
    mutating func write(_ ask: AccountAsk) {
        write(ask.id)
        switch ask.source {
        case .addresses(let addresses):
            write(UInt8(0))
            write(list: addresses) { $0.write($1) }
        case .nameless(let source): write(source.rawValue)
        }
        write(ask.transport)
        write(optional: ask.frontend)
        write(list: ask.targets) { $0.write($1) }
    }

    mutating func write(_ account: FlowAccount) {
        write(account.id)
        write(account.refusal)
        write(account.endpointMTU)
        write(list: account.parties) { writer, party in
            writer.write(party.address)
            writer.write(party.problem)
        }
        write(account.lag)
        write(list: account.clusters) { writer, known in
            writer.write(known.cluster.rawValue)
            writer.write(known.word)
        }
        write(list: account.nodes) { writer, known in
            writer.write(known.node.cluster.rawValue)
            writer.write(known.node.name)
            writer.write(known.word)
        }
        write(list: account.quarantines) { writer, quarantine in
            writer.write(quarantine.backend)
            writer.write(quarantine.sinceMilliseconds)
            writer.write(quarantine.reason)
        }
        write(list: account.judgements) { writer, judgement in
            writer.write(judgement.target)
            writer.write(optional: judgement.egress)
            writer.write(optional: judgement.ingress)
        }
        write(account.connectionCount)
        write(list: account.connections) { $0.write($1) }
        write(list: account.refusals) { $0.write($1) }
    }

    private mutating func write(_ target: AccountAsk.Target) {
        write(target.address)
        write(target.port)
    }

    private mutating func write(optional target: AccountAsk.Target?) {
        write(target != nil)
        if let target { write(target) }
    }

    private mutating func write(_ word: FlowAccount.Word) {
        write(word.verdict.rawValue)
        write(word.weight)
        write(word.sinceMilliseconds)
    }

    private mutating func write(optional decision: FlowAccount.Decision?) {
        write(decision != nil)
        guard let decision else { return }
        write(decision.allows)
        write(decision.isAudited)
        write(decision.reason)
    }

    private mutating func write(_ connection: FlowAccount.Connection) {
        write(connection.state.rawValue)
        write(connection.opener)
        write(connection.replier)
        write(connection.ageMilliseconds)
        write(connection.idleMilliseconds)
        write(connection.openerPackets)
        write(connection.replierPackets)
    }

    private mutating func write(_ refusal: FlowAccount.Refusal) {
        write(refusal.kind.rawValue)
        write(refusal.agoMilliseconds)
        write(refusal.transport)
        write(refusal.source)
        write(refusal.sourceIdentity)
        write(refusal.destination)
        write(refusal.destinationIdentity)
        write(optional: refusal.frontend)
        write(refusal.reason)
        write(refusal.policy)
    }
}

extension ByteReader {
    mutating func readAccountAsk() throws(DecodingFault) -> AccountAsk {
        AccountAsk(
            id: try read(), source: try readSource(), transport: try readTransport(),
            frontend: try readBool() ? try readTarget() : nil,
            targets: try readList(max: AccountAsk.targetsMaximum, "targets") {
                reader throws(DecodingFault) in try reader.readTarget()
            })
    }

    mutating func readAccount() throws(DecodingFault) -> FlowAccount {
        var account = FlowAccount(id: try read())
        account.refusal = try readLine("refusal")
        account.endpointMTU = try read()
        account.parties = try readList(
            max: AccountAsk.addressesMaximum + AccountAsk.targetsMaximum, "parties"
        ) { reader throws(DecodingFault) in
            FlowAccount.Party(
                address: try reader.readAddress(), problem: try reader.readLine("problem"))
        }
        account.lag = try readLine("lag")
        account.clusters = try readList(max: FlowAccount.clustersMaximum, "clusters") {
            reader throws(DecodingFault) in
            FlowAccount.ClusterWord(
                cluster: try reader.readClusterID(), word: try reader.readWord())
        }
        account.nodes = try readList(max: FlowAccount.nodesMaximum, "nodes") {
            reader throws(DecodingFault) in
            FlowAccount.NodeWord(node: try reader.readNodeID(), word: try reader.readWord())
        }
        account.quarantines = try readList(max: FlowAccount.quarantinesMaximum, "quarantines") {
            reader throws(DecodingFault) in
            FlowAccount.Quarantine(
                backend: try reader.readTarget(), sinceMilliseconds: try reader.read(),
                reason: try reader.readLine("reason"))
        }
        account.judgements = try readList(max: AccountAsk.targetsMaximum, "judgements") {
            reader throws(DecodingFault) in
            FlowAccount.Judgement(
                target: try reader.readTarget(), egress: try reader.readDecision(),
                ingress: try reader.readDecision())
        }
        account.connectionCount = try read()
        account.connections = try readList(max: FlowAccount.connectionsMaximum, "connections") {
            reader throws(DecodingFault) in try reader.readConnection()
        }
        account.refusals = try readList(max: FlowAccount.refusalsMaximum, "refusals") {
            reader throws(DecodingFault) in try reader.readRefusal()
        }
        return account
    }

    private mutating func readSource() throws(DecodingFault) -> AccountAsk.Source {
        let kind = try read(UInt8.self)
        if kind == 0 {
            return .addresses(
                try readList(max: AccountAsk.addressesMaximum, "addresses") {
                    reader throws(DecodingFault) in try reader.readAddress()
                })
        }
        guard let source = AccountAsk.Nameless(rawValue: kind) else { throw .invalid("source") }
        return .nameless(source)
    }

    private mutating func readTransport() throws(DecodingFault) -> UInt8 {
        let number = try read(UInt8.self)
        guard number == 0 || TransportProtocol(rawValue: number) != nil else {
            throw .invalid("transport")
        }
        return number
    }

    private mutating func readTarget() throws(DecodingFault) -> AccountAsk.Target {
        AccountAsk.Target(address: try readAddress(), port: try read())
    }

    /// A text that may be printed as it is.
    private mutating func readLine(_ name: String) throws(DecodingFault) -> String {
        let text = try readString(max: FlowAccount.textBytes, name)
        guard !text.unicodeScalars.contains(where: \.isControl) else { throw .invalid(name) }
        return text
    }

    private mutating func readClusterID() throws(DecodingFault) -> ClusterID {
        guard let cluster = ClusterID(rawValue: try read()) else { throw .invalid("cluster ID") }
        return cluster
    }

    private mutating func readNodeID() throws(DecodingFault) -> NodeID {
        let cluster = try readClusterID()
        guard let node = NodeID(cluster: cluster, name: try readString(max: 253, "node name"))
        else { throw .invalid("node name") }
        return node
    }

    private mutating func readWord() throws(DecodingFault) -> FlowAccount.Word {
        guard let verdict = Verdict(rawValue: try read()) else { throw .invalid("verdict") }
        return FlowAccount.Word(
            verdict: verdict, weight: try read(), sinceMilliseconds: try read())
    }

    private mutating func readDecision() throws(DecodingFault) -> FlowAccount.Decision? {
        guard try readBool() else { return nil }
        return FlowAccount.Decision(
            allows: try readBool(), isAudited: try readBool(), reason: try readLine("reason"))
    }

    private mutating func readConnection() throws(DecodingFault) -> FlowAccount.Connection {
        guard let state = FlowAccount.Connection.State(rawValue: try read()) else {
            throw .invalid("state of a connection")
        }
        return FlowAccount.Connection(
            state: state, opener: try readTarget(), replier: try readTarget(),
            ageMilliseconds: try read(), idleMilliseconds: try read(),
            openerPackets: try read(), replierPackets: try read())
    }

    private mutating func readRefusal() throws(DecodingFault) -> FlowAccount.Refusal {
        guard let kind = FlowAccount.Refusal.Kind(rawValue: try read()) else {
            throw .invalid("kind of a refusal")
        }
        return FlowAccount.Refusal(
            kind: kind, agoMilliseconds: try read(), transport: try read(),
            source: try readTarget(), sourceIdentity: try read(),
            destination: try readTarget(), destinationIdentity: try read(),
            frontend: try readBool() ? try readTarget() : nil, reason: try read(),
            policy: try readLine("policy"))
    }
}

extension Unicode.Scalar {
    /// C0, DEL and C1.
    fileprivate var isControl: Bool { value < 0x20 || (0x7f..<0xa0).contains(value) }
}
