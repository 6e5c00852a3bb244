// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import Synchronization

extension DatapathCore {
    /// Names of the maps in ``mapUsage()``.
    static let countedMaps: Set<String> = [
        MapName.frontends, MapName.services, MapName.lists, MapName.backends, MapName.clusters,
        MapName.nodes, MapName.nodeNames, MapName.outerSources, MapName.endpoints,
        MapName.prefixes, MapName.policySets, MapName.policyPeers, MapName.policyIntervals,
        MapName.policyBlocks, MapName.policyKnown,
    ]

    /// The maps that this class fills.
    func mapUsage() throws(DatapathError) -> [MapReading] {
        try state.withLock { state throws(DatapathError) in
            func reading(
                _ name: String, _ kind: String, _ key: Int, _ value: Int, _ capacity: Int,
                _ entries: Int?
            ) -> MapReading {
                MapReading(
                    name: name, kind: kind, keyBytes: key, valueBytes: value, capacity: capacity,
                    entries: entries)
            }
            func keyed<Key, Value>(
                _ map: any KeyedMap<Key, Value>, _ kind: String, _ entries: Int
            ) -> MapReading {
                reading(
                    map.name, kind, MemoryLayout<Key>.size, MemoryLayout<Value>.size,
                    map.capacity, entries)
            }
            func words(_ words: any WordArray, _ entries: Int? = nil) -> MapReading {
                reading(words.name, "array", 4, 8, words.count, entries)
            }
            func slab<Element>(_ slab: any Slab<Element>, _ entries: Int) -> MapReading {
                reading(slab.name, "array", 4, MemoryLayout<Element>.size, slab.count, entries)
            }
            let services = state.services
            let policies = state.policies
            return [
                keyed(storage.frontends, "hash", services.slots.count),
                words(storage.services, services.freeSlots.usedCount),
                slab(storage.lists, services.freeLists.usedCount),
                slab(storage.backends, services.freeBackends.usedCount),
                words(storage.clusters), words(storage.nodes, state.nodes.count),
                keyed(storage.nodeNames, "hash", state.nodes.count),
                keyed(storage.outerSources, "hash", state.nodes.sourceCount),
                keyed(storage.endpoints, "hash", try state.endpoints.count()),
                keyed(storage.prefixes, "lpm_trie", state.prefixes.count),
                words(storage.policySets, policies.sets.count),
                keyed(storage.policyPeers, "hash", policies.peerCount),
                slab(storage.policyIntervals, policies.lists.usedCount),
                keyed(storage.policyBlocks, "lpm_trie", policies.blockCount),
                keyed(storage.policyKnown, "hash", policies.known.count),
            ]
        }
    }
}
