// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

extension HashMap {
    struct Batch {
        let elements: [(Key, Value)]
        let isLast: Bool
    }

    /// Reads up to `count` elements behind `cursor` with one system call.
    ///
    /// - Parameters:
    ///   - cursor: nil at the start; the kernel's next bucket afterwards.
    ///   - count: doubled when a bucket alone holds more.
    /// - Returns: nil when nothing is left.
    func lookupBatch(
        after cursor: inout UInt32?, count: inout Int
    ) throws(BPFError) -> Batch? {
        while true {
            let keys = UnsafeMutablePointer<Key>.allocate(capacity: count)
            let values = UnsafeMutablePointer<Value>.allocate(capacity: count)
            defer {
                keys.deallocate()
                values.deallocate()
            }
            var read = UInt32(count)
            var next: UInt32 = 0
            let result =
                if var position = cursor {
                    bpf_map_lookup_batch(
                        descriptor, &position, &next, keys, values, &read, nil)
                } else {
                    bpf_map_lookup_batch(descriptor, nil, &next, keys, values, &read, nil)
                }
            switch -result {
            case Errno.noSpace.rawValue:
                count *= 2
            case 0, Errno.noSuchFileOrDirectory.rawValue:
                cursor = next
                let elements = (0..<Int(read)).map { (keys[$0], values[$0]) }
                return Batch(elements: elements, isLast: result != 0)
            default:
                throw BPFError(result: result, action: "reading map \(name)")
            }
        }
    }

    /// Writes many elements in order: with one system call, or one each where the kernel has no
    /// batches.
    ///
    /// - Throws: ``BatchFailure``, `.mapFull` when there was no room for all: the elements before the
    ///   one that failed are written, those behind it aren't.
    public func update(
        contentsOf elements: some RandomAccessCollection<(key: Key, value: Value)>
    ) throws(BatchFailure) {
        try updateElements(map, elements)
    }

    /// The values of `keys`, nil for those absent. One system call for each key.
    public func lookup(_ keys: [Key]) throws(BPFError) -> [Value?] {
        var values: [Value?] = []
        values.reserveCapacity(keys.count)
        for key in keys { values.append(try lookup(key)) }
        return values
    }

    /// Deletes many keys; those already gone are success.
    ///
    /// - Complexity: one system call, and one more for every key that is absent.
    public func delete(_ keys: [Key]) throws(BPFError) {
        var rest = keys[...]
        while !rest.isEmpty {
            var count = UInt32(rest.count)
            let result = rest.withUnsafeBufferPointer { buffer in
                bpf_map_delete_batch(descriptor, buffer.baseAddress, &count, nil)
            }
            if result == 0 { return }
            guard result == -Errno.noSuchFileOrDirectory.rawValue else {
                throw BPFError(result: result, action: "deleting from map \(name)")
            }
            // The kernel stops at the first key that is absent: go on behind it.
            rest = rest.dropFirst(Int(count) + 1)
        }
    }
}
