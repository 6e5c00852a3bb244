// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The verdicts of one ``PolicySet``, as the datapath looks them up: for a direction the peer's own
/// list, else the list for everybody else.
///
/// A list for everybody else allows only what is allowed whoever the peer is. So it holds for peers
/// that nothing is known of yet, and of those that are known only who differs needs a list. Where it
/// says that more depends on the peer, who finds the peer to be known may take the denial as final.
public struct CompiledPolicy: Sendable {
    private let book: PolicyBook
    public let set: PolicySet
    private var egress: Table
    private var ingress: Table

    /// With lists for the classes of addresses outside the mesh.
    ///
    /// - Throws: ``PolicyOverflow``: the policy isn't to be used in part.
    public init(_ set: PolicySet, in book: PolicyBook) throws(PolicyOverflow) {
        try self.init(without: set, book)
        for (key, matches) in book.worldPeers { try insert(key, matches) }
    }

    /// What ``init(_:in:)`` and ``insert(_:_:)`` would make, without going through all peers again.
    ///
    /// - Parameters:
    ///   - former: of a set that the same endpoints had in the book before.
    ///   - touched: peers that policies concern which are in only one of both books
    ///     (``PolicyBook/changes(since:)``, ``PolicyBook/concerns(_:in:)``).
    /// - Returns: nil if lists of others may have changed, too.
    /// - Throws: ``PolicyOverflow``: the policy isn't to be used in part.
    public init?(
        _ set: PolicySet, in book: PolicyBook, after former: CompiledPolicy,
        touched: [(key: PeerKey, matches: PeerMatches)]
    ) throws(PolicyOverflow) {
        try self.init(without: set, book)
        guard egress.adopt(former.egress), ingress.adopt(former.ingress) else { return nil }
        for (key, matches) in touched { try insert(key, matches) }
    }

    private init(without set: PolicySet, _ book: PolicyBook) throws(PolicyOverflow) {
        self.book = book
        self.set = set
        egress = try Table(.egress, set, book)
        ingress = try Table(.ingress, set, book)
    }

    /// Adds a peer, or changes what is known of it.
    ///
    /// - Parameter matches: from the same book.
    /// - Throws: ``PolicyOverflow``: the policy is as it was.
    /// - Complexity: linear in the number of the set's rules that mean the peer.
    public mutating func insert(_ key: PeerKey, _ matches: PeerMatches) throws(PolicyOverflow) {
        let lists = (try egress.list(for: matches, book), try ingress.list(for: matches, book))
        let entering = key.listed(.ingress)
        guard egress.hasRoom(for: key, lists.0, book),
            ingress.hasRoom(for: entering, lists.1, book)
        else {
            throw PolicyOverflow(
                subject: "peers with verdicts of their own", limit: book.limits.peers)
        }
        egress.put(key, lists.0)
        ingress.put(entering, lists.1)
    }

    /// Takes a peer out: it is among everybody else.
    public mutating func remove(_ key: PeerKey) {
        egress.lists[key] = nil
        if key.listed(.ingress) == key { ingress.lists[key] = nil }
    }

    /// For peers that have no list of their own.
    public func standardList(_ direction: PolicyDirection) -> VerdictList {
        table(direction).standard
    }

    /// Lists that differ from the standard list, by peer.
    public func lists(_ direction: PolicyDirection) -> [PeerKey: VerdictList] {
        table(direction).lists
    }

    /// What the datapath would find.
    ///
    /// - Parameter isKnown: whether the peer was inserted, or would have been.
    public func decision(
        _ direction: PolicyDirection, peer: PeerKey, isKnown: Bool, traffic: PolicyTraffic
    ) -> PolicyDecision {
        let table = table(direction)
        let list = table.lists[peer.listed(direction)] ?? (isKnown ? table.settled : table.standard)
        return decision(of: list.interval(for: traffic))
    }

    /// - Parameter interval: of one of this policy's lists.
    public func decision(of interval: VerdictInterval) -> PolicyDecision {
        book.decision(interval.verdict)
    }

    private func table(_ direction: PolicyDirection) -> Table {
        switch direction {
        case .egress: egress
        case .ingress: ingress
        }
    }
}

/// One direction of a compiled policy.
private struct Table: Sendable {
    /// How many answers are remembered before all are forgotten.
    private static let memory = 4096

    private let direction: PolicyDirection
    private let isolation: ReasonCode?
    /// Rules that mean everyone, ascending.
    private let everyone: [Int32]
    /// The others, under each of the matchers they ask; sorted.
    private let rules: [(matcher: Int32, rule: Int32)]
    /// Of the rules that mean everyone.
    private let everyoneCodes: [ReasonCode]
    private let namedPorts: [NamedPort]
    /// Whether lists depend on the names that peers give their ports.
    private let asksPeersForNames: Bool
    private var known: [Question: VerdictList] = [:]
    private(set) var standard: VerdictList
    /// The standard list as it is for known peers.
    private(set) var settled: VerdictList
    var lists: [PeerKey: VerdictList] = [:]

    /// Peers that ask the same get the same list.
    private struct Question: Hashable {
        let certain: [Int32]
        let possible: [Int32]
        let names: [NamedPort]?
    }

    init(
        _ direction: PolicyDirection, _ set: PolicySet, _ book: PolicyBook
    ) throws(PolicyOverflow) {
        self.direction = direction
        namedPorts = set.namedPorts
        isolation =
            set.sections.first { book.sections[Int($0)].isolates.contains(direction) }
            .map { book.sections[Int($0)].isolation }
        var everyone: [Int32] = []
        var possible: [Int32] = []
        var rules: [(matcher: Int32, rule: Int32)] = []
        var asksForNames = false
        for number in set.sections.flatMap({ book.rulesOfSection[Int($0)] }) {
            let rule = book.rules[Int(number)]
            guard rule.direction == direction else { continue }
            asksForNames = asksForNames || rule.ports?.contains(where: \.isNamed) ?? false
            guard let matchers = rule.matchers else {
                everyone.append(number)
                continue
            }
            if !matchers.isEmpty { possible.append(number) }
            for matcher in matchers { rules.append((matcher, number)) }
        }
        self.everyone = everyone.sorted()
        everyoneCodes = self.everyone.map { book.rules[Int($0)].code }
        self.rules = rules.sorted { $0 < $1 }
        asksPeersForNames = asksForNames && direction == .egress
        standard = VerdictList(intervals: [])
        settled = standard
        standard = try list(
            for: Question(
                certain: [], possible: possible.sorted(), names: asksPeersForNames ? nil : []),
            book)
        settled = standard.settled
    }

    /// Takes the lists over that were made under another book, if nothing differs that all peers go by.
    ///
    /// - Returns: false if something does.
    mutating func adopt(_ former: Table) -> Bool {
        guard settled == former.settled, isolation == former.isolation,
            everyoneCodes == former.everyoneCodes
        else { return false }
        lists = former.lists
        return true
    }

    mutating func list(
        for matches: PeerMatches, _ book: PolicyBook
    ) throws(PolicyOverflow) -> VerdictList {
        if matches.isHost, direction == .ingress { return VerdictList(.ownNode) }
        let certain = rules(of: matches.certain)
        return try list(
            for: Question(
                certain: certain,
                possible: rules(of: matches.possible).filter { !certain.contains($0) },
                names: asksPeersForNames ? matches.namedPorts : []), book)
    }

    private mutating func list(
        for question: Question, _ book: PolicyBook
    ) throws(PolicyOverflow) -> VerdictList {
        if let list = known[question] { return list }
        let list = flatten(question, book)
        try PolicyOverflow.check(
            list.intervals.count, book.limits.intervals,
            "intervals in the verdicts of an endpoint on a peer")
        if known.count >= Self.memory { known.removeAll() }
        known[question] = list
        return list
    }

    func hasRoom(for key: PeerKey, _ list: VerdictList, _ book: PolicyBook) -> Bool {
        list == settled || lists.count < book.limits.peers || lists[key] != nil
    }

    mutating func put(_ key: PeerKey, _ list: VerdictList) {
        let wanted = list == settled ? nil : list
        if lists[key] != wanted { lists[key] = wanted }
    }

    private func rules(of matchers: [Int32]) -> [Int32] {
        var found: [Int32] = []
        for matcher in matchers {
            var (low, high) = (0, rules.count)
            while low < high {
                let middle = (low + high) / 2
                if rules[middle].matcher < matcher { low = middle + 1 } else { high = middle }
            }
            while low < rules.count, rules[low].matcher == matcher {
                found.append(rules[low].rule)
                low += 1
            }
        }
        return found.count > 1 ? Set(found).sorted() : found
    }

    private func flatten(_ question: Question, _ book: PolicyBook) -> VerdictList {
        var flattener = Flattener(isolation: isolation, rules: book.rules)
        let names = direction == .egress ? question.names : namedPorts
        func add(_ numbers: [Int32], isCertain: Bool) {
            for number in numbers {
                let rule = book.rules[Int(number)]
                let all: [PortMatcher?] = rule.ports ?? [nil]
                flattener.add(
                    number, tier: book.tier(of: number), action: rule.action, isCertain: isCertain,
                    intervals: all.flatMap {
                        $0?.intervals(names: names) ?? [0...PolicyTraffic.lastIndex]
                    })
                guard names == nil else { continue }
                flattener.add(
                    number, tier: book.tier(of: number), action: rule.action, isCertain: false,
                    intervals: all.flatMap { $0?.possibleIntervals ?? [] })
            }
        }
        add(everyone, isCertain: true)
        add(question.certain, isCertain: true)
        add(question.possible, isCertain: false)
        return flattener.flattened()
    }
}
