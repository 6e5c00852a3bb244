// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Numbers of reasons, as verdicts name them: one for each policy, which may isolate, and one for
/// each of its rules.
///
/// From book to book a policy keeps its number as long as there is one of its name, and its rules
/// theirs as long as it says the same. Nobody else gets them afterwards. So a list of verdicts
/// that no changed policy has a part in is as true under the new book as under the former.
struct PolicyCodes: Sendable {
    /// Of one policy.
    struct Block: Sendable {
        let isolation: Int32
        /// Of the first of its rules: by section, direction and order.
        let rules: Int32
    }

    /// In the order of the book's policies.
    let blocks: [Block]
    /// How often the numbers began anew. Those of different eras have nothing to do with each other.
    let era: UInt64
    /// Which policy's numbers begin where, ascending.
    private let starts: [(code: Int32, policy: Int)]
    private let next: Int

    /// - Parameters:
    ///   - policies: in the order of a book.
    ///   - former: the book that these follow.
    init(_ policies: [Policy], after former: PolicyBook?, limit: Int) {
        var (blocks, next) = Self.number(policies, after: former)
        var era = former?.codes.era ?? 0
        if next > limit {
            era += 1
            (blocks, next) = Self.number(policies, after: nil)
        }
        (self.blocks, self.next, self.era) = (blocks, next, era)
        starts = blocks.enumerated().flatMap { policy, block in
            [(code: block.isolation, policy: policy), (code: block.rules, policy: policy)]
        }.sorted { $0.code < $1.code }
    }

    private static func number(
        _ policies: [Policy], after former: PolicyBook?
    ) -> (blocks: [Block], next: Int) {
        // 0 stands for no reason at all.
        var next = former?.codes.next ?? 1
        func take(_ count: Int) -> Int32 {
            defer { next += count }
            return Int32(truncatingIfNeeded: next)
        }
        var rest = (former?.policies ?? [])[...]
        let blocks = policies.map { policy in
            rest = rest.drop { $0.order < policy.order }
            let same = rest.first.flatMap { $0.order == policy.order ? $0 : nil }
            let held = same.flatMap { _ in former?.codes.blocks[rest.startIndex] }
            return Block(
                isolation: held?.isolation ?? take(1),
                // At least one, so that no other policy's begin there.
                rules: same == policy ? held?.rules ?? 0 : take(max(policy.ruleCount, 1)))
        }
        return (blocks, next)
    }

    /// Nil for a number that none of the policies has.
    ///
    /// - Parameter policies: those that these are of.
    func reason(_ code: Int32, in policies: [Policy]) -> PolicyReason? {
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle].code <= code { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let index = starts[low - 1].policy
        let policy = policies[index]
        if code == blocks[index].isolation { return .isolated(by: policy.name) }
        var rest = Int(code - blocks[index].rules)
        for section in policy.sections {
            for direction in PolicyDirection.allCases {
                let rules = section.rules(direction)
                if rules.indices.contains(rest) {
                    return .rule(
                        RuleReference(
                            policy: policy.name, tier: policy.tier, direction: direction,
                            path: rules[rest].path, name: rules[rest].name))
                }
                rest -= rules.count
            }
        }
        return nil
    }
}

extension Policy {
    /// What books sort by.
    var order: (PolicyTier, Int, PolicyName) { (tier, priority, name) }

    fileprivate var ruleCount: Int {
        sections.reduce(0) { $0 + $1.ingress.count + $1.egress.count }
    }
}

extension PolicyBook {
    /// The policies that are in only one of both books, as a book of their own. Who isn't meant
    /// there has the same rules in both.
    ///
    /// - Parameter former: which this one was made after.
    /// - Returns: nil if nothing that was compiled of the former book is of use.
    public func changes(since former: PolicyBook) -> PolicyBook? {
        guard codes.era == former.codes.era, environment == former.environment,
            limits == former.limits, classes == former.classes
        else { return nil }
        func policies(of book: PolicyBook, notIn other: PolicyBook) -> [Policy] {
            let others = Set(other.codes.blocks.map(\.rules))
            return zip(book.policies, book.codes.blocks).compactMap { policy, block in
                others.contains(block.rules) ? nil : policy
            }
        }
        let changed = policies(of: self, notIn: former) + policies(of: former, notIn: self)
        do {
            return try PolicyBook(changed, environment: environment, limits: limits)
        } catch {
            // More than a book can hold differs.
            return nil
        }
    }

    /// Whether any rule may mean the peer and doesn't mean everyone.
    ///
    /// - Parameter prefix: the class of the peer's address.
    public func concerns(_ peer: PolicyPeer, in prefix: Prefix?) -> Bool {
        let matches = matches(of: peer, in: prefix)
        return !matches.certain.isEmpty || !matches.possible.isEmpty
    }
}
