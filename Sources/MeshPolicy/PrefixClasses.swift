// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// The address blocks that policies ask for cut all addresses into classes: those with the same
/// longest block are in the same blocks, and so have the same verdicts.
public struct PrefixClasses: Hashable, Sendable {
    /// Blocks and exceptions, sorted; with IPv6 blocks that hold the bits of IPv4 addresses also
    /// all of IPv4, so that the longest match is always one of the address's own family.
    public let prefixes: [Prefix]
    private let known: Set<Prefix>
    /// Longest first.
    private let lengths: [UInt8]

    /// - Parameter former: what is shared if it is the same.
    init(_ prefixes: Set<Prefix>, like former: PrefixClasses? = nil) {
        let known =
            prefixes.contains { !$0.isIPv4 && $0.contains(Prefix.ipv4.address) }
            ? prefixes.union([.ipv4]) : prefixes
        if let former, former.known == known {
            self = former
            return
        }
        self.known = known
        self.prefixes = known.sorted()
        lengths = Set(known.map(\.length)).sorted(by: >)
    }

    /// Fast where one comes from the other.
    public static func == (left: PrefixClasses, right: PrefixClasses) -> Bool {
        left.prefixes == right.prefixes
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(prefixes) }

    /// The class of an address, nil if it is in no block.
    ///
    /// - Complexity: one look-up for each length that there is, 129 at most.
    public func longest(containing address: Address) -> Prefix? {
        for length in lengths {
            if let prefix = Prefix(address: address, length: length), known.contains(prefix) {
                return prefix
            }
        }
        return nil
    }
}

/// Finds the networks that hold a class of addresses without asking each.
struct NetworkIndex: Sendable {
    private var matchers: [Prefix: [(network: PolicyNetwork, number: Int32)]] = [:]
    private var lengths: Set<UInt8> = []

    /// - Returns: the number that the network has already; nil if it now has `number`.
    mutating func add(_ network: PolicyNetwork, _ number: Int32) -> Int32? {
        if let held = matchers[network.prefix]?.first(where: { $0.network == network }) {
            return held.number
        }
        matchers[network.prefix, default: []].append((network, number))
        lengths.insert(network.prefix.length)
        return nil
    }

    /// Of networks whose block holds `location`, whatever they except.
    func candidates(at location: Prefix) -> [Int32] {
        var found: [Int32] = []
        for length in lengths where length <= location.length {
            if let prefix = Prefix(address: location.address, length: length) {
                for held in matchers[prefix] ?? [] { found.append(held.number) }
            }
        }
        return found
    }
}
