// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Hands out the addresses of a node's prefixes. A value: the caller keeps what is in use.
struct AddressPool {
    /// Number 0 is the network's, 1 the node's own; in IPv4 the last one is the broadcast address.
    static let reservedNumbers: UInt64 = 2
    /// Nobody runs more workloads on a node; bounds the search in an IPv6 prefix.
    static let searchedNumbersMax: UInt64 = 1 << 20

    let prefixes: [Prefix]

    /// The lowest free address of every family that has a prefix, IPv4 first.
    ///
    /// - Returns: nil for a family whose prefixes have none left.
    func allocate(inUse: Set<Address>) -> [Result<Address, Exhausted>] {
        [true, false].compactMap { isIPv4 -> Result<Address, Exhausted>? in
            let family = prefixes.filter { $0.isIPv4 == isIPv4 }.sorted()
            guard !family.isEmpty else { return nil }
            for prefix in family {
                if let free = firstFree(in: prefix, inUse) { return .success(free) }
            }
            return .failure(Exhausted(prefixes: family))
        }
    }

    /// Whether `address` may be a workload's: in a prefix and not reserved.
    func offers(_ address: Address) -> Bool {
        prefixes.contains { prefix in
            guard prefix.contains(address), prefix.isIPv4 == address.isIPv4 else { return false }
            let numbers = Self.numbers(of: prefix)
            let number = address.low &- prefix.address.low
            return prefix.length <= 64
                ? number >= Self.reservedNumbers || address.high != prefix.address.high
                : numbers.contains(number)
        }
    }

    private func firstFree(in prefix: Prefix, _ inUse: Set<Address>) -> Address? {
        let numbers = Self.numbers(of: prefix)
        let end = min(numbers.upperBound, numbers.lowerBound + Self.searchedNumbersMax)
        return (numbers.lowerBound..<end).lazy
            .map { prefix.address.advanced(by: $0) }
            .first { !inUse.contains($0) }
    }

    /// Numbers within the prefix that workloads may have. A /31, /32 or the IPv6 likes of them are
    /// handed out whole (RFC 3021).
    private static func numbers(of prefix: Prefix) -> Range<UInt64> {
        let hostBits = UInt64(128 - prefix.length)
        guard hostBits > 1 else { return 0..<(1 << hostBits) }
        let count = hostBits < 64 ? 1 << hostBits : UInt64.max
        return reservedNumbers..<(prefix.isIPv4 ? count - 1 : count)
    }

    struct Exhausted: Error {
        let prefixes: [Prefix]
    }
}
