// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// All policies of a cluster in the order in which they decide, and indexes of what they ask for.
///
/// Immutable: changed policies are another book. Numbers of rules, sections and matchers, and so
/// ``PolicySet``s and ``PeerMatches``, belong to the book that they come from.
public struct PolicyBook: Sendable {
    public let environment: PolicyEnvironment
    public let limits: PolicyLimits
    /// By tier, priority and name.
    public let policies: [Policy]
    /// What addresses are to be told apart by.
    public let classes: PrefixClasses

    let codes: PolicyCodes
    let sections: [Section]
    /// Lower numbers come first; in the standard tier that is denying rules before accepting ones.
    let rules: [Rule]
    /// Numbers of the rules of a section, ascending.
    let rulesOfSection: [[Int32]]
    /// Sections with ingress rules that ask for ports by name.
    let namingSections: Set<Int32>
    let matchers: [PeerMatcher]
    let subjectIndex: SelectorIndex
    let selectorIndex: SelectorIndex
    let networkIndex: NetworkIndex
    /// Matchers for entities: few, so always asked.
    let entities: [Int32]
    /// The classes that addresses outside the mesh are in.
    private(set) var worldPeers: [(key: PeerKey, matches: PeerMatches)] = []

    struct Section: Sendable {
        let policy: Int
        let subject: EndpointSelector
        let isolates: Set<PolicyDirection>
        let isolation: ReasonCode
    }

    struct Rule: Sendable {
        let policy: Int
        let section: Int32
        let direction: PolicyDirection
        let action: PolicyAction
        let code: ReasonCode
        /// Nil for everyone.
        let matchers: [Int32]?
        let ports: [PortMatcher]?
    }

    /// - Parameter former: a book that ``CompiledPolicy/init(_:in:after:touched:)`` can take over from.
    /// - Throws: ``PolicyOverflow``: keep the book that is in use.
    /// - Complexity: linear in what the policies hold, but for sorting.
    public init(
        _ policies: [Policy], environment: PolicyEnvironment, limits: PolicyLimits = .standard,
        after former: PolicyBook? = nil
    ) throws(PolicyOverflow) {
        try PolicyOverflow.check(policies.count, limits.policies, "policies")
        self.environment = environment
        self.limits = limits
        self.policies = policies.sorted { $0.order < $1.order }
        codes = PolicyCodes(self.policies, after: former, limit: limits.codes)
        var builder = Builder(environment: environment)
        for (index, policy) in self.policies.enumerated() {
            builder.add(policy, index, codes.blocks[index])
        }
        try PolicyOverflow.check(builder.drafts.count, limits.rules, "rules of policies")
        try PolicyOverflow.check(
            builder.matchers.count, limits.matchers, "different peers in rules of policies")
        try PolicyOverflow.check(
            builder.prefixes.count, limits.prefixes, "different address blocks in policies")
        sections = builder.sections
        rules = builder.rulesInOrder(of: self.policies)
        var rulesOfSection = [[Int32]](repeating: [], count: sections.count)
        for (number, rule) in rules.enumerated() {
            rulesOfSection[Int(rule.section)].append(Int32(number))
        }
        self.rulesOfSection = rulesOfSection
        namingSections = Set(
            rules.lazy.filter { rule in
                rule.direction == .ingress && rule.ports?.contains(where: \.isNamed) ?? false
            }.map(\.section))
        matchers = builder.matchers
        subjectIndex = builder.subjectIndex
        selectorIndex = builder.selectorIndex
        networkIndex = builder.networkIndex
        entities = builder.entities
        classes = PrefixClasses(builder.prefixes, like: former?.classes)
        worldPeers = ([nil] + classes.prefixes.map { $0 }).map { prefix in
            (PeerKey(identity: .world, prefix: prefix), matches(of: .world, in: prefix))
        }
    }

    func tier(of rule: Int32) -> PolicyTier { policies[rules[Int(rule)].policy].tier }

    func decision(_ verdict: Verdict) -> PolicyDecision {
        PolicyDecision(
            allows: verdict.allows, dependsOnPeer: verdict.dependsOnPeer,
            reason: reason(verdict.reason))
    }

    /// What a ``VerdictInterval/reasonCode`` stands for; `noPolicy` for a code of another book.
    public func reason(code: Int32) -> PolicyReason {
        reason(ReasonCode(rawValue: code))
    }

    private func reason(_ code: ReasonCode) -> PolicyReason {
        switch code {
        case .undetermined: .undetermined
        case .ownNode: .ownNode
        default: codes.reason(code.rawValue, in: policies) ?? .noPolicy
        }
    }
}

/// Gives sections, rules and matchers their numbers.
private struct Builder {
    let environment: PolicyEnvironment
    var sections: [PolicyBook.Section] = []
    var drafts: [PolicyBook.Rule] = []
    var matchers: [PeerMatcher] = []
    var prefixes: Set<Prefix> = []
    var subjectIndex = SelectorIndex()
    var selectorIndex = SelectorIndex()
    var networkIndex = NetworkIndex()
    var entities: [Int32] = []
    private var numbers: [PeerMatcher: Int32] = [:]

    init(environment: PolicyEnvironment) { self.environment = environment }

    mutating func add(_ policy: Policy, _ index: Int, _ codes: PolicyCodes.Block) {
        var code = codes.rules
        for section in policy.sections {
            let number = Int32(sections.count)
            let subject = section.subject.only(environment.cluster.rawValue)
            subjectIndex.add(subject, number)
            sections.append(
                PolicyBook.Section(
                    policy: index, subject: subject, isolates: section.isolates,
                    isolation: ReasonCode(rawValue: codes.isolation)))
            for direction in PolicyDirection.allCases {
                for rule in section.rules(direction) {
                    defer { code += 1 }
                    guard !section.unused.contains(direction) else { continue }
                    drafts.append(
                        PolicyBook.Rule(
                            policy: index, section: number, direction: direction,
                            action: rule.action, code: ReasonCode(rawValue: code),
                            matchers: matchers(of: rule), ports: rule.ports))
                }
            }
        }
    }

    func rulesInOrder(of policies: [Policy]) -> [PolicyBook.Rule] {
        let standard = drafts.partitioned { policies[$0.policy].tier == .standard }
        let denying = standard.matching.partitioned { $0.action == .deny }
        let others = standard.others.partitioned { policies[$0.policy].tier == .admin }
        return others.matching + denying.matching + denying.others + others.others
    }

    private mutating func matchers(of rule: PolicyRule) -> [Int32]? {
        guard let peers = rule.peers, !peers.contains(.entity(.all)) else { return nil }
        // Then a peer of whom nothing is known may be meant by every matcher there is.
        let someone = peers.filter { $0 != .entity(.nobody) }
        let found = someone.map { number(of: $0.scoped(by: environment)) }
        return found.count > 1 ? Set(found).sorted() : found
    }

    private mutating func number(of matcher: PeerMatcher) -> Int32 {
        let number = Int32(matchers.count)
        if case .network(let network) = matcher {
            if let held = networkIndex.add(network, number) { return held }
        } else if let held = numbers.updateValue(number, forKey: matcher) {
            numbers[matcher] = held
            return held
        }
        matchers.append(matcher)
        switch matcher {
        case .endpoints(let selector): selectorIndex.add(selector, number)
        case .network(let network):
            prefixes.insert(network.prefix)
            prefixes.formUnion(network.except)
        case .entity(let entity):
            entities.append(number)
            // Then which family an address is of must show in its class.
            if entity == .worldIPv4 || entity == .worldIPv6 { prefixes.formUnion([.ipv4, .ipv6]) }
        }
        return number
    }
}

extension Array {
    /// Both parts in their order.
    fileprivate func partitioned(
        by isMatch: (Element) -> Bool
    ) -> (matching: [Element], others: [Element]) {
        (filter(isMatch), filter { !isMatch($0) })
    }
}
