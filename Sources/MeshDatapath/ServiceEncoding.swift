// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel

/// A frontend in the kernel's structures: slices without a place, sorted by tier.
struct EncodedFrontend {
    struct Slice {
        /// Without `first` and `count`.
        let header: weft_slice
        let backends: [weft_backend]
    }

    let key: FrontendKey
    let affinitySeconds: UInt32
    let slices: [Slice]

    /// - Throws: `.invalid` naming the frontend and the bound it breaks.
    init(
        _ frontend: ServiceFrontend,
        nodeIndex: (NodeID) throws(DatapathError) -> UInt32
    ) throws(DatapathError) {
        key = frontend.key
        affinitySeconds = frontend.sessionAffinitySeconds
        let wanted = frontend.slices.filter { !$0.backends.isEmpty }
            .sorted { ($0.tier, $0.cluster) < ($1.tier, $1.cluster) }
        guard wanted.count <= ServiceFrontend.maximumClusters else {
            throw .invalid(
                "frontend \(frontend.key) has \(wanted.count) cluster slices, "
                    + "\(ServiceFrontend.maximumClusters) are possible")
        }
        var slices: [Slice] = []
        for slice in wanted {
            guard slice.backends.count <= ServiceFrontend.maximumBackendsPerCluster else {
                throw .invalid(
                    "frontend \(frontend.key) has \(slice.backends.count) backends in cluster "
                        + "\(slice.cluster), \(ServiceFrontend.maximumBackendsPerCluster) are "
                        + "possible")
            }
            var backends: [weft_backend] = []
            backends.reserveCapacity(slice.backends.count)
            for backend in slice.backends {
                backends.append(
                    weft_backend(
                        backend, cluster: slice.cluster, node: try nodeIndex(backend.node)))
            }
            let header = weft_slice(
                cluster: slice.cluster.rawValue, tier: slice.tier, weight: slice.weight, first: 0,
                count: 0, pad: 0)
            slices.append(Slice(header: header, backends: backends))
        }
        self.slices = slices
    }

    /// - Parameter reused: for each slice, the published one with the same backends.
    func isUnchanged(from current: PublishedList, _ reused: [weft_slice?]) -> Bool {
        guard slices.count == current.slices.count else { return false }
        guard !slices.isEmpty else { return true }
        return affinitySeconds == current.affinitySeconds
            && zip(slices, zip(reused, current.slices)).allSatisfy { wanted, held in
                guard let kept = held.0, isSame(kept, held.1) else { return false }
                return kept.tier == wanted.header.tier && kept.weight == wanted.header.weight
            }
    }
}

/// A list as a program sees it.
struct PublishedList {
    /// Of elements of `weft_lists`, header included.
    let range: Range<Int>
    let affinitySeconds: UInt32
    let slices: [weft_slice]

    static let empty = PublishedList(range: 0..<0, affinitySeconds: 0, slices: [])

    /// A service without backends has no list.
    var isEmpty: Bool { range.isEmpty }
}

/// Ranges of maps that are no longer published.
struct RetiredMemory: Sendable {
    var slots: [Range<Int>] = []
    var lists: [Range<Int>] = []
    var backends: [Range<Int>] = []

    var isEmpty: Bool { slots.isEmpty && lists.isEmpty && backends.isEmpty }

    mutating func append(_ other: RetiredMemory) {
        slots += other.slots
        lists += other.lists
        backends += other.backends
    }
}

extension weft_slice {
    /// In `weft_backends`.
    var range: Range<Int> { Int(first)..<Int(first) + Int(count) }

    /// Elements of `weft_lists` are headers and slices, which have the same size.
    init(_ list: weft_list) { self = unsafeBitCast(list, to: weft_slice.self) }
}

extension weft_list {
    init(_ element: weft_slice) { self = unsafeBitCast(element, to: weft_list.self) }
}
