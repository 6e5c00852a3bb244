// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel
internal import MeshStore

/// Workload addresses of the whole mesh. The kernel's map is the only copy.
struct EndpointTable: Sendable {
    private let map: any KeyedMap<weft_address, weft_endpoint>
    /// Since verdicts were last renewed: who comes next may have an address that flows remember.
    private var hasRemoved = false
    /// How many there are; nil until somebody asked.
    private var counted: Int?

    init(_ storage: Storage) { map = storage.endpoints }

    /// Writes what the kernel doesn't hold yet.
    ///
    /// - Parameter entries: each with its node's index.
    /// - Returns: those that failed, of which the kernel keeps what it held; and whether open flows
    ///   may have another verdict now.
    mutating func apply(
        _ entries: [(entry: EndpointEntry, node: UInt32)]
    ) -> (failures: [Address: DatapathError], changesVerdicts: Bool) {
        var failures: [Address: DatapathError] = [:]
        var changesVerdicts = false
        var writes: [(key: weft_address, value: weft_endpoint)] = []
        var added: Set<Address> = []
        for (entry, node) in entries {
            let key = weft_address(entry.address)
            let value = weft_endpoint(entry, node: node)
            do throws(DatapathError) {
                if let held = try map.lookup(key) {
                    if isSame(held, value) { continue }
                    changesVerdicts =
                        changesVerdicts || held.identity != value.identity
                        || held.policy_set != value.policy_set || held.flags != value.flags
                } else {
                    added.insert(entry.address)
                    // While there was no row, nobody's policies were asked.
                    changesVerdicts = changesVerdicts || hasRemoved || entry.local != nil
                }
                writes.append((key, value))
            } catch {
                failures[entry.address] = error
            }
        }
        let refused = map.update(writes) { "adding endpoint \(Address(writes[$0].key))" }
        for (index, error) in refused { failures[Address(writes[index].key)] = error }
        counted = counted.map { $0 + added.count { failures[$0] == nil } }
        if changesVerdicts { hasRemoved = false }
        return (failures, changesVerdicts)
    }

    mutating func remove(_ address: Address) throws(DatapathError) {
        let key = weft_address(address)
        if let counted, try map.lookup(key) != nil {
            try map.delete(key)
            self.counted = counted - 1
        } else {
            try map.delete(key)
        }
        hasRemoved = true
    }

    func addresses() throws(DatapathError) -> [Address] {
        try map.keys().map { Address($0) }
    }

    /// Policy sets that some endpoint has.
    func policySets() throws(DatapathError) -> Set<UInt32> {
        Set(try map.elements().map(\.value.policy_set))
    }

    /// - Complexity: goes through all the first time, and never again.
    mutating func count() throws(DatapathError) -> Int {
        if let counted { return counted }
        let count = try map.keys().count
        counted = count
        return count
    }
}

/// Pod prefixes of every cluster, and how far each cluster's packets are believed.
struct PrefixTable: Sendable {
    private let prefixes: any KeyedMap<weft_prefix_key, weft_cluster_settings>
    private let settings: any ElementArray<weft_cluster_settings>
    /// What the kernel holds.
    private var held: [Prefix: weft_cluster_settings] = [:]

    /// Takes over what pinned maps hold.
    init(_ storage: Storage) throws(DatapathError) {
        prefixes = storage.prefixes
        settings = storage.clusterSettings
        for (key, value) in try prefixes.elements() {
            guard let prefix = Prefix(key) else { continue }
            held[prefix] = value
        }
    }

    /// Clusters that have a prefix in the kernel.
    var realised: Set<ClusterID> { Set(held.values.compactMap { ClusterID(rawValue: $0.cluster) }) }

    var count: Int { held.count }

    /// Makes `wanted` the cluster's prefixes.
    ///
    /// - Throws: `.conflict` when another cluster has one of them: nothing changed.
    mutating func apply(
        _ cluster: ClusterID, _ wanted: [Prefix], _ check: SourceCheck
    ) throws(DatapathError) {
        let value = weft_cluster_settings(cluster, check)
        for prefix in wanted {
            guard let other = held[prefix]?.cluster, other != cluster.rawValue else { continue }
            throw .conflict("prefix \(prefix) of cluster \(cluster) is cluster \(other)'s already")
        }
        let index = Int(cluster.rawValue)
        if !isSame(try settings.load(index), value) { try settings.store(value, at: index) }
        for prefix in wanted {
            if let now = held[prefix], isSame(now, value) { continue }
            try prefixes.update(
                weft_prefix_key(prefix), value, for: "adding prefix \(prefix) of cluster \(cluster)"
            )
            held[prefix] = value
        }
        let gone = held.filter { $0.value.cluster == cluster.rawValue }.keys
        for prefix in Set(gone).subtracting(wanted).sorted() {
            try prefixes.delete(weft_prefix_key(prefix))
            held[prefix] = nil
        }
    }

    mutating func remove(_ cluster: ClusterID) throws(DatapathError) {
        for prefix in held.filter({ $0.value.cluster == cluster.rawValue }).keys.sorted() {
            try prefixes.delete(weft_prefix_key(prefix))
            held[prefix] = nil
        }
        let index = Int(cluster.rawValue)
        if try settings.load(index).cluster != 0 {
            try settings.store(weft_cluster_settings(), at: index)
        }
    }
}
