// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel

/// Which node has which index, where it is reached and whose packets are its.
///
/// An index stays a node's for as long as the maps are pinned, also after the node is removed:
/// tracked connections refer to it, and a node that returns finds its own again.
struct NodeTable: Sendable {
    /// Unknown is not dead: takes new flows until someone says otherwise.
    static let initialWord = LivenessWord(verdict: .unknown, weight: 255, generation: 0)

    private let words: any WordArray
    private let names: any KeyedMap<UInt32, NodeNameRecord>
    private let tunnels: any ElementArray<weft_tunnel>
    private let outerSources: any KeyedMap<weft_address, weft_outer_source>

    private var indexes: [NodeID: UInt32] = [:]
    private var nodes: [UInt32: NodeID] = [:]
    private var nextIndex: UInt32 = 0
    /// Verdicts on nodes that nothing refers to yet.
    private var pendingWords: [NodeID: LivenessWord] = [:]
    /// What the kernel holds: outer sources by node.
    private var sources: [UInt32: Set<Address>] = [:]
    /// Nodes with a tunnel.
    private var reached: Set<UInt32> = []
    /// How often this process changed a node's tunnel. Open flows follow a node when the generation
    /// of its word changes, so this is added to the generations that others count.
    private var moves: [UInt32: UInt32] = [:]

    /// Takes over what pinned maps hold; gives the local node index 0.
    init(_ storage: Storage, local: NodeID) throws(DatapathError) {
        words = storage.nodes
        names = storage.nodeNames
        tunnels = storage.tunnels
        outerSources = storage.outerSources
        for (index, record) in try names.elements() {
            guard index < UInt32(words.count), let node = NodeID(record) else { continue }
            indexes[node] = index
            nodes[index] = node
            nextIndex = max(nextIndex, index + 1)
            if try tunnels.load(Int(index)).address != .zero { reached.insert(index) }
        }
        for (address, source) in try outerSources.elements() {
            sources[source.node, default: []].insert(Address(address))
        }
        if nodes[UInt32(WEFT_NODE_LOCAL)] != local {
            // A new node, or one whose name changed: what its pins say goes on under the new one.
            if let old = indexes.removeValue(forKey: local) {
                try names.delete(old)
                nodes[old] = nil
            }
            if let former = nodes[0] { indexes[former] = nil }
            try assign(UInt32(WEFT_NODE_LOCAL), to: local)
        }
    }

    func name(of index: UInt32) -> NodeID? { nodes[index] }

    func word(at index: UInt32) -> LivenessWord {
        guard index < UInt32(words.count) else { return LivenessWord(rawValue: 0) }
        return LivenessWord(rawValue: words.word(at: Int(index)))
    }

    /// Nil for a node that nothing referred to yet.
    func knownIndex(of node: NodeID) -> UInt32? { indexes[node] }

    /// A node's word, also of one that nothing refers to yet; zero where none was ever set.
    func word(of node: NodeID) -> LivenessWord {
        indexes[node].map { word(at: $0).moved(by: 0 &- moves[$0, default: 0]) }
            ?? pendingWords[node] ?? LivenessWord(rawValue: 0)
    }

    /// The node's index; a node not seen before gets the next one and takes new flows.
    ///
    /// - Throws: `.mapFull` after 65,536 different nodes.
    mutating func index(of node: NodeID) throws(DatapathError) -> UInt32 {
        if let index = indexes[node] { return index }
        guard nextIndex < UInt32(words.count) else {
            throw .mapFull(map: words.name, action: "giving node \(node) an index")
        }
        let index = nextIndex
        try assign(index, to: node)
        return index
    }

    private mutating func assign(_ index: UInt32, to node: NodeID) throws(DatapathError) {
        try names.update(
            index, NodeNameRecord(node), for: "giving node \(node) an index")
        words.publishIfZero(Self.initialWord.rawValue, at: Int(index))
        if let word = pendingWords.removeValue(forKey: node) {
            words.publish(word.rawValue, at: Int(index))
        }
        indexes[node] = index
        nodes[index] = node
        nextIndex = max(nextIndex, index + 1)
    }

    /// One store, or none while nothing refers to the node: then its first use starts with `word`.
    mutating func setWord(_ word: LivenessWord, of node: NodeID) {
        guard let index = indexes[node] else {
            pendingWords[node] = word
            return
        }
        words.publish(word.moved(by: moves[index, default: 0]).rawValue, at: Int(index))
    }

    /// Of all nodes that have an index.
    var clusters: Set<ClusterID> { Set(indexes.keys.map(\.cluster)) }

    /// Nodes that have an index.
    var count: Int { nodes.count }
    var sourceCount: Int { sources.values.reduce(0) { $0 + $1.count } }

    /// Nodes that the kernel has a tunnel or an outer source of.
    var realised: [NodeID] {
        reached.union(sources.filter { !$0.value.isEmpty }.keys).compactMap { nodes[$0] }
    }

    mutating func apply(_ tunnel: NodeTunnel) throws(DatapathError) {
        guard (1...NodeTunnel.maximumAddresses).contains(tunnel.outerAddresses.count) else {
            throw .invalid(
                "node \(tunnel.id) has \(tunnel.outerAddresses.count) outer addresses, "
                    + "1...\(NodeTunnel.maximumAddresses) are possible")
        }
        let index = try index(of: tunnel.id)
        let wanted = Set(tunnel.outerAddresses)
        // New sources first, then what makes them be used, then the old ones go.
        for address in tunnel.outerAddresses {
            try addSource(address, index: index, node: tunnel.id)
        }
        let element = weft_tunnel(
            address: weft_address(tunnel.outerAddresses[0]), cluster: tunnel.id.cluster.rawValue,
            mtu: tunnel.mtu, pad: 0)
        if !isSame(try tunnels.load(Int(index)), element) {
            try tunnels.store(element, at: Int(index))
            words.publish(word(at: index).moved(by: 1).rawValue, at: Int(index))
            moves[index, default: 0] &+= 1
        }
        reached.insert(index)
        for address in sources[index, default: []].subtracting(wanted).sorted() {
            try outerSources.delete(weft_address(address))
            sources[index]?.remove(address)
        }
    }

    private mutating func addSource(
        _ address: Address, index: UInt32, node: NodeID
    ) throws(DatapathError) {
        let value = weft_outer_source(node: index, cluster: node.cluster.rawValue, pad: 0)
        let held = try outerSources.lookup(weft_address(address))
        if let held, isSame(held, value) { return }
        try outerSources.update(
            weft_address(address), value, for: "adding outer source \(address) of node \(node)")
        // An address that moved from one node to another is the newcomer's.
        if let held { sources[held.node]?.remove(address) }
        sources[index, default: []].insert(address)
    }

    /// Takes the node's tunnel and outer sources away; what is gone already is success.
    mutating func remove(_ node: NodeID) throws(DatapathError) {
        guard let index = indexes[node] else { return }
        if reached.contains(index) {
            try tunnels.store(weft_tunnel(), at: Int(index))
            reached.remove(index)
        }
        for address in sources[index, default: []].sorted() {
            try outerSources.delete(weft_address(address))
            sources[index]?.remove(address)
        }
        sources[index] = nil
    }
}

extension LivenessWord {
    /// The same belief with a later generation.
    fileprivate func moved(by steps: UInt32) -> LivenessWord {
        LivenessWord(rawValue: rawValue &+ UInt64(steps) << 32)
    }
}

extension weft_address {
    static func != (left: weft_address, right: weft_address) -> Bool { !isSame(left, right) }
    static var zero: weft_address { weft_address() }
}

extension NodeNameRecord {
    init(_ node: NodeID) {
        cluster = node.cluster.rawValue
        length = UInt16(node.name.utf8.count)
        for (index, byte) in node.name.utf8.enumerated() { bytes[index] = byte }
    }
}

extension NodeID {
    /// Nil for bytes that are no name.
    init?(_ record: NodeNameRecord) {
        guard let cluster = ClusterID(rawValue: record.cluster),
            Int(record.length) <= record.bytes.count
        else { return nil }
        let bytes = (0..<Int(record.length)).map { record.bytes[$0] }
        guard let name = String(validating: bytes, as: UTF8.self) else { return nil }
        guard !name.isEmpty else {
            self = .unplaced(in: cluster)
            return
        }
        self.init(cluster: cluster, name: name)
    }
}
