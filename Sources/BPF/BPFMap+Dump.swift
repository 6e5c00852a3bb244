// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

extension BPFMap {
    /// An element as the kernel keeps it; per-CPU maps have a value for each possible CPU, padded to
    /// eight bytes.
    public struct RawElement: Hashable, Sendable {
        public let key: [UInt8]
        public let value: [UInt8]
    }

    /// The first elements of a map of any kind that has keys, those of zeros in arrays left out.
    ///
    /// - Parameters:
    ///   - limit: elements that are returned.
    ///   - visits: elements that are looked at.
    /// - Returns: in the kernel's order; what changes meanwhile may be missed.
    /// - Complexity: two system calls for each element that is looked at.
    public func elements(limit: Int, visits: Int) throws(BPFError) -> [RawElement] {
        let isPerCPU = [5, 6, 10].contains(info.type)
        let isArray = [2, 6].contains(info.type)
        var size = Int(info.valueSize)
        if isPerCPU {
            let processors = try check(libbpf_num_possible_cpus(), "counting processors")
            size = (size + 7) / 8 * 8 * Int(processors)
        }
        var found: [RawElement] = []
        var key: [UInt8]?
        var next = [UInt8](repeating: 0, count: Int(info.keySize))
        var value = [UInt8](repeating: 0, count: size)
        for _ in 0..<visits where found.count < limit {
            let result =
                if let key {
                    bpf_map_get_next_key(descriptor.rawValue, key, &next)
                } else {
                    bpf_map_get_next_key(descriptor.rawValue, nil, &next)
                }
            if result == -Errno.noSuchFileOrDirectory.rawValue { break }
            try check(result, "walking map \(name)")
            key = next
            let looked = bpf_map_lookup_elem(descriptor.rawValue, next, &value)
            // Gone since.
            if looked == -Errno.noSuchFileOrDirectory.rawValue { continue }
            try check(looked, "looking up in map \(name)")
            if !isArray || value.contains(where: { $0 != 0 }) {
                found.append(RawElement(key: next, value: value))
            }
        }
        return found
    }
}
