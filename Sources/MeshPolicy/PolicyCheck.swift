// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What a policy will mean, and what its author may not have meant.
public struct PolicyCheck: Hashable, Sendable {
    public let policy: PolicyName
    /// A section or a rule each, in the object's order.
    public let sentences: [String]
    public let findings: [Finding]

    public struct Finding: Hashable, Sendable, CustomStringConvertible {
        /// Within the object; empty for the whole of it.
        public let path: String
        public let problem: Problem
        public let message: String

        /// `spec.ingress[0] is never asked: spec.ingress[1] …`.
        public var description: String { path.isEmpty ? message : "\(path) \(message)" }
    }

    public enum Problem: String, Hashable, Sendable, CaseIterable {
        case selectsNothing
        case allowsEverything
        case unusedRules
        case nobodyMeant
        /// The peers that a selector would mean are of clusters that it doesn't.
        case otherClustersOnly
        /// Endpoints of other clusters are meant although the selector doesn't name clusters.
        case meansOtherClusters
        case nobodyNamesPort
        case shadowed
        case samePriority
        case labelNotCarried
    }
}

extension PolicyBook {
    /// Looks at one policy among the others and the endpoints that there are.
    ///
    /// - Parameters:
    ///   - principals: everybody known, of all clusters.
    ///   - isCarried: whether identities carry a label of an endpoint, by its key.
    /// - Complexity: the policy's rules times everybody, and times the rules beside them.
    public func check(
        _ policy: Policy, principals: [Principal], isCarried: (String) -> Bool = { _ in true }
    ) -> PolicyCheck {
        var checker = PolicyChecker(book: self, policy: policy, principals: principals)
        checker.checkPolicy(isCarried)
        for section in policy.sections { checker.check(section) }
        return PolicyCheck(
            policy: policy.name, sentences: checker.sentences, findings: checker.findings)
    }
}

private struct PolicyChecker {
    let book: PolicyBook
    let policy: Policy
    let principals: [Principal]
    var sentences: [String] = []
    var findings: [PolicyCheck.Finding] = []

    mutating func note(_ problem: PolicyCheck.Problem, _ path: String = "", _ message: String) {
        findings.append(PolicyCheck.Finding(path: path, problem: problem, message: message))
    }

    mutating func checkPolicy(_ isCarried: (String) -> Bool) {
        for key in policy.labelKeys.sorted() where !isCarried(key) {
            note(
                .labelNotCarried, "",
                "asks for the label \(key), which identities don't carry: "
                    + "to other endpoints nobody has it; include it in identityLabels")
        }
        guard policy.tier != .standard else { return }
        for other in book.policies
        where other.name != policy.name && other.tier == policy.tier
            && other.priority == policy.priority
        {
            note(
                .samePriority, "",
                "has priority \(policy.priority), as \(other.name) has: "
                    + "which one decides first is by name here, and open elsewhere")
        }
    }

    mutating func check(_ section: PolicySection) {
        let cluster = book.environment.cluster.rawValue
        let subjects = principals.filter { section.subject.only(cluster).selects($0) }
        sentences.append(
            "selects \(section.subject) of cluster \(cluster): \(count(subjects))"
                + isolation(section))
        if subjects.isEmpty {
            note(.selectsNothing, "", "selects no endpoint that there is: \(section.subject)")
        }
        for direction in [PolicyDirection.ingress, .egress] {
            let rules = section.rules(direction)
            if section.unused.contains(direction) {
                if let first = rules.first {
                    note(
                        .unusedRules, first.path,
                        "has no effect, nor others for \(direction): policyTypes leaves it out")
                }
                continue
            }
            for (index, rule) in rules.enumerated() {
                check(rule, direction, subjects)
                checkShadows(rule, among: rules, at: index)
            }
        }
    }

    private func isolation(_ section: PolicySection) -> String {
        let directions = section.isolates.sorted().reversed().map(\.description)
        return directions.isEmpty
            ? "" : "; denies them all \(directions.joined(separator: " and ")) that no rule accepts"
    }

    private func count(_ principals: [Principal]) -> String {
        switch principals.count {
        case 0: "none now"
        case 1: "1 identity now"
        case let count: "\(count) identities now"
        }
    }

    private mutating func check(
        _ rule: PolicyRule, _ direction: PolicyDirection, _ subjects: [Principal]
    ) {
        sentences.append("\(rule.path) \(rule.sentence(direction))")
        if rule.action == .accept, rule.peers?.contains(.entity(.all)) ?? true, rule.ports == nil {
            note(
                .allowsEverything, rule.path,
                "allows everything \(direction == .ingress ? "from" : "to") everyone")
        }
        for case .endpoints(let selector) in rule.peers ?? [] { checkReach(of: selector, rule) }
        checkNames(rule, direction, subjects)
    }

    private mutating func checkReach(of selector: EndpointSelector, _ rule: PolicyRule) {
        let own = book.environment.cluster
        let meant = principals.filter { selector.scoped(by: book.environment).selects($0) }
        guard meant.isEmpty else {
            let others = Set(meant.map(\.cluster)).subtracting([own])
            if !selector.namesClusters, !others.isEmpty {
                note(
                    .meansOtherClusters, rule.path,
                    "means \(selector) of clusters \(list(others.map(\.rawValue))) too; "
                        + "ask for io.weft.cluster to say which")
            }
            return
        }
        let elsewhere = Set(principals.filter { selector.selects($0) }.map(\.cluster.rawValue))
        if elsewhere.isEmpty {
            note(.nobodyMeant, rule.path, "means no endpoint that there is with \(selector)")
        } else {
            note(
                .otherClustersOnly, rule.path,
                "means \(selector) of this cluster, which has none; clusters \(list(elsewhere)) do: "
                    + "ask for io.weft.cluster to mean them")
        }
    }

    private mutating func checkNames(
        _ rule: PolicyRule, _ direction: PolicyDirection, _ subjects: [Principal]
    ) {
        var destinations = subjects
        if direction == .egress {
            destinations = principals.filter { principal in
                rule.peers?.contains {
                    $0.scoped(by: book.environment)
                        .match(.endpoint(principal), at: nil, in: book.environment) == .yes
                } ?? true
            }
        }
        for case .named(let name, let transport) in rule.ports ?? [] {
            let isKnown = destinations.contains { principal in
                principal.namedPorts.contains {
                    $0.name == name && $0.transport == transport ?? $0.transport
                }
            }
            if !isKnown, !destinations.isEmpty {
                note(
                    .nobodyNamesPort, rule.path,
                    "means \(PortMatcher.named(name, transport)), which no destination of it has")
            }
        }
    }

    private mutating func checkShadows(_ rule: PolicyRule, among rules: [PolicyRule], at index: Int)
    {
        let isOrdered = policy.tier != .standard
        for (other, earlier) in rules.enumerated() where other != index && earlier.covers(rule) {
            // In order, only what stands before counts; without, a denial, or one like it before.
            guard
                isOrdered
                    ? other < index
                    : earlier.action == .deny && rule.action == .accept
                        || earlier.action == rule.action && (other < index || !rule.covers(earlier))
            else { continue }
            note(
                .shadowed, rule.path,
                "decides nothing: \(earlier.path) \(earlier.action == rule.action ? "says the same" : "decides before it")"
            )
            return
        }
    }

    private func list(_ names: some Sequence<String>) -> String {
        names.sorted().joined(separator: ", ")
    }
}
