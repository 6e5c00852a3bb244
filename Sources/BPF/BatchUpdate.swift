// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import SystemPackage

/// Why a batch ended early.
public struct BatchFailure: Error, Hashable, Sendable {
    /// Elements before the one that failed.
    public let written: Int
    public let error: BPFError
}

func updateElements<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ map: borrowing BPFMap, _ elements: some RandomAccessCollection<(key: Key, value: Value)>
) throws(BatchFailure) {
    guard !elements.isEmpty else { return }
    var count = UInt32(elements.count)
    let result = bpf_map_update_batch(
        map.descriptor.rawValue, elements.map(\.key), elements.map(\.value), &count, nil)
    guard result < 0 else { return }
    if lacksBatches(Errno(rawValue: -result)) { return try updateEach(map, elements) }
    throw BatchFailure(
        written: Int(count),
        error: BPFError(
            result: result, action: "updating map \(map.name)",
            detail: "\(count) of \(elements.count) elements were written"))
}

/// What kernels say that have no batches at all, or none for this kind of map.
func lacksBatches(_ errno: Errno) -> Bool {
    let notSupportedInside = Errno(rawValue: 524)  // ENOTSUPP, the kernel's own
    return [.invalidArgument, .notSupported, notSupportedInside].contains(errno)
}

func updateEach<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ map: borrowing BPFMap, _ elements: some RandomAccessCollection<(key: Key, value: Value)>
) throws(BatchFailure) {
    for (index, element) in elements.enumerated() {
        do throws(BPFError) {
            try updateElement(map, element.key, element.value, 0)
        } catch {
            throw BatchFailure(written: index, error: error)
        }
    }
}
