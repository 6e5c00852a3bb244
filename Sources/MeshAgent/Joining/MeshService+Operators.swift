// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshModel
import MeshStore
import MeshTransport
import MeshTrust
import Synchronization

// MARK: What operators want

extension MeshService {
    /// Whoever may write to the administration socket: the agent's own user.
    private var actor: AuditActor { .user(geteuid()) }

    func makeToken(_ request: TokenRequest) async throws -> TokenAnswer {
        try requireHome()
        if request.cluster != nil { try await requireKnownNodes() }
        try await describe()
        guard
            let address = ClusterAddress(
                address: configuration.underlay, port: configuration.ports.enrolment)
        else { throw AdminFault(.internalError, "ports.enrolment is 0") }
        let token = try desk?.makeToken(
            for: try subject(of: request),
            lifetimeSeconds: request.lifetimeSeconds ?? TokenBook.lifetimeSeconds,
            beside: filed, by: actor, now: unixSeconds())
        guard let token else { throw notHome }
        try await settle()
        return TokenAnswer(
            target: "\(token.text)@\(address)", subject: "\(token.subject)",
            expiresUnixSeconds: token.expiresAt)
    }

    private func subject(of request: TokenRequest) throws -> TokenSubject {
        switch (request.cluster, request.id, request.node) {
        case (let name?, let id?, nil):
            guard let name = ClusterName(rawValue: name) else {
                throw AdminFault(
                    .invalidRequest,
                    "'\(name)' must be 1 to 32 characters of a-z, 0-9 and '-' to be a cluster's name"
                )
            }
            guard let id = ClusterID(rawValue: id) else {
                throw AdminFault(
                    .invalidRequest, "\(id) must be 1 to \(ClusterID.maximum) to be a cluster's ID")
            }
            return TokenSubject(cluster: name, id: id)
        case (nil, nil, let node?):
            guard let subject = TokenSubject(node: node, of: configuration.cluster) else {
                throw AdminFault(
                    .invalidRequest, "'\(node)' is no node's name",
                    hint: "a DNS name of a-z, 0-9, - and ., as Kubernetes has it")
            }
            return subject
        default:
            throw AdminFault(
                .invalidRequest, "a token is for a cluster, by name and ID, or for a node")
        }
    }

    func join(_ text: String) async throws -> JoinAnswer {
        try requireHome()
        let target = try JoinTarget(parsing: text)
        guard target.token.subject.kind == .cluster else {
            throw AdminFault(
                .invalidRequest, "the token is for \(target.token.subject), not for a cluster",
                hint: "use it there: weft node join")
        }
        try await requireKnownNodes()
        try await describe()
        guard let joiner = try desk?.begin(target.token, now: unixSeconds())
        else { throw notHome }
        let machine = Mutex(joiner)
        let answer = try await JoinExchange.ask(target) { channel throws(TrustError) in
            try machine.withLock { joiner throws(TrustError) in
                try joiner.request(
                    channel: channel, nonce: JoinExchange.nonce(), now: unixSeconds())
            }
        }
        guard
            let outcome = try desk?.complete(
                machine.withLock({ $0 }), with: answer, by: actor, now: unixSeconds()),
            let roster = desk?.roster
        else { throw notHome }
        note(outcome.events)
        await publish()
        return JoinAnswer(
            introducer: outcome.introducer.rawValue, clockSeconds: outcome.clock.seconds,
            isClockAlarming: outcome.clock.isAlarming, isRepeated: outcome.isRepeated,
            members: roster.members.map(\.name.rawValue),
            notes: outcome.events.filter(\.isWorthTelling).map(\.description))
    }

    func leave(force: Bool) async throws -> LeaveAnswer {
        try requireHome()
        guard let roster = desk?.roster else { throw notHome }
        // Who knows nobody has nobody to tell.
        guard !roster.clusters.isEmpty else { return LeaveAnswer(awaited: []) }
        try desk?.leave(by: actor, now: unixSeconds())
        await publish()
        let awaited = desk?.awaited(heard: heard) ?? []
        if awaited.isEmpty || force {
            try await endLeave()
            return LeaveAnswer(awaited: [])
        }
        return LeaveAnswer(awaited: awaited.map(\.rawValue))
    }

    func accept(_ cluster: String, root: String?) async throws -> RosterAnswer {
        try await decide(cluster) { desk, name, actor throws in
            try desk.accept(name, root: root, by: actor)
        }
    }

    func forget(_ cluster: String) async throws -> RosterAnswer {
        try await decide(cluster) { desk, name, actor throws in
            try desk.forget(name, by: actor, now: unixSeconds())
        }
    }

    var introducers: IntroducersStatus {
        get throws {
            guard let roster = desk?.roster else { throw notHome }
            return IntroducersStatus(
                names: roster.introducers.map(\.rawValue).sorted(),
                founder: roster.founder?.rawValue, areChosen: roster.hasChosenIntroducers)
        }
    }

    /// - Parameter names: nil: the mesh's founder.
    func setIntroducers(_ names: [String]?) async throws -> RosterAnswer {
        var wanted: [ClusterName]?
        for name in names ?? [] {
            guard let name = ClusterName(rawValue: name) else {
                throw AdminFault(
                    .notFound, "there is no cluster '\(name)'",
                    hint: "weft cluster list shows them")
            }
            wanted = (wanted ?? []) + [name]
        }
        if names?.isEmpty == true { wanted = [] }
        return try await change { desk, actor throws in
            try desk.setIntroducers(wanted, by: actor)
        }
    }

    func tokens() throws -> [TokenStatus] {
        guard let desk else { throw notHome }
        let now = unixSeconds()
        return desk.book.entries.map { TokenStatus($0, now: now) }.sorted {
            ($0.expiresUnixSeconds, $0.id) < ($1.expiresUnixSeconds, $1.id)
        }
    }

    func revoke(token id: String) throws -> TokenStatus {
        try requireHome()
        guard let entry = try desk?.revoke(id, by: actor) else { throw notHome }
        return TokenStatus(entry, now: unixSeconds())
    }

    private func decide(
        _ cluster: String,
        _ decision: (inout JoinDesk, ClusterName, AuditActor) throws -> [RosterEvent]
    ) async throws -> RosterAnswer {
        guard let name = ClusterName(rawValue: cluster) else {
            try requireHome()
            throw AdminFault(
                .notFound, "there is no cluster '\(cluster)'",
                hint: "weft cluster list shows them")
        }
        return try await change { desk, actor throws in try decision(&desk, name, actor) }
    }

    private func change(
        _ decision: (inout JoinDesk, AuditActor) throws -> [RosterEvent]
    ) async throws -> RosterAnswer {
        guard var desk else { throw notHome }
        let events = try decision(&desk, actor)
        self.desk = desk
        note(events)
        await publish()
        return RosterAnswer(events: events.map(\.description))
    }

    private var notHome: AdminFault {
        AdminFault(
            .conflict,
            "decisions about trust of cluster '\(configuration.clusterName)' are taken at its home, node '\(configuration.home)', not at '\(configuration.node.name)'",
            hint: "run this on \(configuration.home)")
    }

    private func requireHome() throws { if desk == nil { throw notHome } }

    /// A cluster that doesn't say what it wants to announce asks for what its nodes have; what it asks
    /// for later, every member has to grant by hand.
    private func requireKnownNodes() async throws {
        guard configuration.charter == nil else { return }
        let known = await state.trustView.store.read { tables in
            Set(
                tables.nodes.rows.filter { $0.id.cluster == configuration.cluster }
                    .map(\.id.name))
        }
        let others = configuration.members.map(\.name).filter { $0 != configuration.node.name }
        let silent = others.filter { !known.contains($0) }.sorted()
        guard let first = silent.first else { return }
        throw AdminFault(
            .unavailable,
            silent.count == 1
                ? "node '\(first)' hasn't said yet which pod prefixes it has"
                : "\(silent.count) nodes haven't said yet which pod prefixes they have, '\(first)' is one",
            hint:
                "start what is missing and repeat this, or name what this cluster may announce in charter.podPrefixes of this node's configuration"
        )
    }
}

extension TokenStatus {
    fileprivate init(_ entry: TokenBook.Entry, now: UInt64) {
        let state: State =
            switch entry.state {
            case .used: .used
            case _ where now > entry.expiresAt: .expired
            case .open: .open
            case .reserved: .reserved
            }
        let holder: KeyPin? =
            switch entry.state {
            case .open: nil
            case .reserved(let key), .used(let key): key
            }
        self.init(
            id: "\(entry.id)", subject: "\(entry.subject)", state: state,
            holder: holder?.short, issuedUnixSeconds: entry.issuedAt,
            expiresUnixSeconds: entry.expiresAt)
    }
}

extension RosterEvent {
    /// Beside the list of members; what is known already is no news.
    fileprivate var isWorthTelling: Bool {
        switch self {
        case .joined, .ignored(_, .replayed): false
        default: true
        }
    }
}
