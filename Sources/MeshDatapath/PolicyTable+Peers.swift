// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel

// Blocks of addresses, known peers, and what is no longer used.

extension PolicyTable {
    /// - Returns: the generation of the blocks.
    /// - Throws: `.mapFull`, `.invalid`: nothing of them remains.
    mutating func addBlocks(
        _ wanted: [Prefix: UInt32], reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) -> UInt32 {
        let action = "adding blocks of addresses"
        guard wanted.values.allSatisfy({ $0 > 0 }) else {
            throw .invalid("\(action): the number of a block can't be 0")
        }
        if blockCount + wanted.count > blocks.capacity { reclaim(&self) }
        guard blockCount + wanted.count <= blocks.capacity else {
            throw .mapFull(map: blocks.name, action: action)
        }
        let generation = nextGeneration()
        let elements = wanted.map { prefix, block in
            (key: weft_policy_block_key(prefix, generation), value: block)
        }
        if let error = blocks.update(elements, for: { _ in action }).first?.value {
            try blocks.delete(elements.map(\.key))
            throw error
        }
        blockCount += elements.count
        generations[generation] = elements.map(\.key)
        return generation
    }

    mutating func removeBlocks(_ generation: UInt32) throws(DatapathError) {
        if let version = versions.values.first(where: { $0.blocks == generation }), generation != 0
        {
            throw .invalid("policy version \(version.number) still uses the blocks \(generation)")
        }
        retired.blocks += generations.removeValue(forKey: generation) ?? []
        adoptedGenerations.remove(generation)
    }

    /// - Throws: `.mapFull`: none of those that were not known before is.
    mutating func setKnown(_ peers: some Sequence<DatapathPeer>) throws(DatapathError) {
        let new = Set(peers).subtracting(known)
        guard !new.isEmpty else { return }
        let action = "noting known peers"
        guard known.count + new.count <= knownMap.capacity else {
            throw .mapFull(map: knownMap.name, action: action)
        }
        let elements = new.map { (key: weft_policy_known_key($0), value: UInt32(1)) }
        if let error = knownMap.update(elements, for: { _ in action }).first?.value {
            try knownMap.delete(elements.map(\.key))
            throw error
        }
        known.formUnion(new)
    }

    mutating func forgetKnown(_ peers: some Sequence<DatapathPeer>) throws(DatapathError) {
        let gone = known.intersection(peers)
        try knownMap.delete(gone.map { weft_policy_known_key($0) })
        known.subtract(gone)
    }
}

/// What no word names any longer.
struct RetiredPolicies: Sendable {
    var peers: [weft_policy_peer_key] = []
    /// Each a use.
    var lists: [UInt32] = []
    var blocks: [weft_policy_block_key] = []

    var isEmpty: Bool { peers.isEmpty && lists.isEmpty && blocks.isEmpty }

    mutating func append(_ other: RetiredPolicies) {
        peers += other.peers
        lists += other.lists
        blocks += other.blocks
    }
}

extension PolicyTable {
    /// Says that somebody begins to wait for the programs that run now; ``releaseAwaited()`` then.
    mutating func awaitReaders() {
        awaited.append(retired)
        retired = RetiredPolicies()
    }

    /// Deletes and frees what was retired before ``awaitReaders()``, unless another was
    /// faster. What the kernel refuses to delete stays, and is tried again with what comes next.
    mutating func releaseAwaited() {
        do throws(DatapathError) {
            try peers.delete(awaited.peers)
            try blocks.delete(awaited.blocks)
        } catch {
            return
        }
        peerCount -= awaited.peers.count
        blockCount -= awaited.blocks.count
        for list in awaited.lists { lists.release(list) }
        awaited = RetiredPolicies()
    }
}

extension weft_policy_block_key {
    init(_ prefix: Prefix, _ generation: UInt32) {
        self.init(
            length: UInt32(prefix.length) + 32, generation: generation,
            address: weft_address(prefix.address))
    }
}

extension weft_policy_known_key {
    init(_ peer: DatapathPeer) {
        self.init(identity: peer.identity.rawValue, block: peer.block)
    }
}

extension DatapathPeer {
    init(_ key: weft_policy_known_key) {
        self.init(identity: Identity(rawValue: key.identity), block: key.block)
    }
}
