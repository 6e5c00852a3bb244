// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
public import MeshModel
internal import Synchronization

extension Datapath {
    /// Makes the kernel hold a frontend and its backends.
    ///
    /// - Throws: `.mapFull`: the previous backends stay in force. `.invalid`: more clusters or
    ///   backends than fit.
    /// - Complexity: a store for each element of changed lists, one to publish, and one `bpf(2)`
    ///   call for a new frontend.
    public func apply(_ frontend: ServiceFrontend) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            let encoded = try EncodedFrontend(frontend) { node throws(DatapathError) in
                try state.nodes.index(of: node)
            }
            for slice in frontend.slices where !slice.backends.isEmpty { core.admit(slice.cluster) }
            try state.services.apply(encoded, reclaim: core.reclaim)
            core.scheduleReclaim(&state)
        }
    }

    public func removeFrontend(_ key: FrontendKey) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.services.remove(key)
            core.scheduleReclaim(&state)
        }
    }

    /// What the kernel holds, whoever put it there.
    public func frontendKeys() -> [FrontendKey] { core.state.withLock { $0.services.keys } }

    /// Frontends as a program sees them, sorted by key.
    public func services() -> [ServiceReading] {
        core.state.withLock { state in
            state.services.slots.sorted { $0.key < $1.key }.map { key, slot in
                core.reading(key, slot, state)
            }
        }
    }

    /// A frontend as a program sees it, nil when the kernel has none.
    public func service(_ key: FrontendKey) -> ServiceReading? {
        core.state.withLock { state in
            state.services.slots[key].map { core.reading(key, $0, state) }
        }
    }
}

extension DatapathCore {
    func reading(_ key: FrontendKey, _ slot: UInt32, _ state: State) -> ServiceReading {
        let word = state.services.word(in: slot)
        let list = state.services.published(in: slot) ?? .empty
        let slices = list.slices.compactMap { slice -> SliceReading? in
            guard let cluster = ClusterID(rawValue: slice.cluster) else { return nil }
            let backends = state.services.elements(of: slice).map { backend in
                BackendReading(
                    address: Address(backend.address), port: UInt16(bigEndian: backend.port),
                    nodeIndex: backend.node, node: state.nodes.name(of: backend.node),
                    nodeWord: state.nodes.word(at: backend.node))
            }
            return SliceReading(
                cluster: cluster, tier: slice.tier, weight: slice.weight,
                clusterWord: clusterWord(cluster), backends: backends)
        }
        return ServiceReading(
            key: key, slot: slot, list: word.list, generation: word.generation,
            sessionAffinitySeconds: list.affinitySeconds, slices: slices)
    }
}
