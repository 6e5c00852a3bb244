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

    init(_ prefixes: Set<Prefix>) {
        known =
            prefixes.contains { !$0.isIPv4 && $0.contains(Prefix.ipv4.address) }
            ? prefixes.union([.ipv4]) : prefixes
        self.prefixes = known.sorted()
        lengths = Set(known.map(\.length)).sorted(by: >)
    }

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
    private var matchers: [Prefix: [Int32]] = [:]
    private var lengths: Set<UInt8> = []

    mutating func add(_ network: PolicyNetwork, _ matcher: Int32) {
        matchers[network.prefix, default: []].append(matcher)
        lengths.insert(network.prefix.length)
    }

    /// Of networks whose block holds `location`, whatever they except.
    func candidates(at location: Prefix) -> [Int32] {
        var found: [Int32] = []
        for length in lengths where length <= location.length {
            if let prefix = Prefix(address: location.address, length: length) {
                found += matchers[prefix] ?? []
            }
        }
        return found
    }
}
