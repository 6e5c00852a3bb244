// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel

/// Publishes policies: lists and peers of a version first, then one store of the set's word.
///
/// A version's number is in the keys of its peers, so that versions never meet. What a word no
/// longer names is retired, and deleted once every program that may still look it up has ended.
struct PolicyTable: Sendable {
    /// A version in force, perhaps under several sets.
    struct Version: Sendable {
        let number: UInt32
        let blocks: UInt32
        /// Sets whose word names it.
        var uses = 0
        /// What each element of `weft_policy_peers` leads to.
        var lists: [Entry: UInt32]

        var word: UInt64 { UInt64(blocks) << 32 | UInt64(number) }
    }

    /// An element of a version; the standard lists stand under ``anyone``.
    struct Entry: Hashable, Sendable {
        let peer: DatapathPeer
        let direction: FlowPolicy.Direction

        static let anyone = DatapathPeer(identity: Identity(rawValue: WEFT_POLICY_ANYONE))
    }

    let words: any WordArray
    let peers: any KeyedMap<weft_policy_peer_key, UInt64>
    let blocks: any KeyedMap<weft_policy_block_key, UInt32>
    let knownMap: any KeyedMap<weft_policy_known_key, UInt32>

    var lists: PolicyLists
    /// By their numbers.
    var versions: [UInt32: Version] = [:]
    /// The version in force of each set.
    var sets: [UInt32: UInt32] = [:]
    /// Keys of every generation that isn't retired.
    var generations: [UInt32: [weft_policy_block_key]] = [:]
    /// Generations of an earlier process: gone with the last version that names them.
    var adoptedGenerations: Set<UInt32> = []
    var known: Set<DatapathPeer> = []
    /// What programs that run now may still look up.
    var retired = RetiredPolicies()
    /// The part of it that somebody waits for already.
    var awaited = RetiredPolicies()
    /// Elements in ``peers`` and in ``blocks``, retired ones included.
    var peerCount = 0
    var blockCount = 0

    private var lastVersion: UInt32 = 0
    private var lastGeneration: UInt32 = 0
    /// Numbers handed out that have no version yet.
    private var issued: Set<UInt32> = []
    /// Numbers that nobody had when they were last looked through, descending.
    private var unused: [UInt32] = []

    /// Takes over what pinned maps hold. Versions in force go on untouched; what no word names is
    /// retired. A version that makes no sense is taken out of force: its set denies everything.
    init(_ storage: Storage) throws(DatapathError) {
        words = storage.policySets
        peers = storage.policyPeers
        blocks = storage.policyBlocks
        knownMap = storage.policyKnown
        lists = PolicyLists(storage.policyIntervals)
        known = Set(try knownMap.keys().map { DatapathPeer($0) })
        try adoptVersions()
        try adoptBlocks()
    }

    private mutating func adoptVersions() throws(DatapathError) {
        var found: [UInt32: [(key: weft_policy_peer_key, list: UInt32)]] = [:]
        for (key, value) in try peers.elements() {
            found[key.version, default: []].append((key, UInt32(truncatingIfNeeded: value)))
            peerCount += 1
        }
        lastVersion = found.keys.max() ?? 0
        for set in 1..<max(words.count, 1) {
            let word = words.word(at: set)
            guard word != 0 else { continue }
            let number = UInt32(truncatingIfNeeded: word)
            let blocks = UInt32(truncatingIfNeeded: word >> 32)
            if number != Self.allowAll { lastVersion = max(lastVersion, number) }
            lastGeneration = max(lastGeneration, blocks)
            if let elements = found.removeValue(forKey: number) {
                var version = Version(number: number, blocks: blocks, lists: [:])
                for (key, list) in elements {
                    guard let entry = Entry(key), lists.adopt(list) else { continue }
                    version.lists[entry] = list
                }
                if version.lists.count == elements.count, version.hasStandardLists {
                    versions[number] = version
                } else {
                    retired.lists += version.lists.values
                    retired.peers += elements.map(\.key)
                }
            }
            if versions[number]?.blocks == blocks || number == Self.allowAll {
                sets[UInt32(set)] = number
                versions[number]?.uses += 1
            } else {
                words.publish(0, at: set)
            }
        }
        for version in versions.values where version.uses == 0 { retire(version.number) }
        for (key, list) in found.values.joined() {
            retired.peers.append(key)
            if lists.adopt(list) { retired.lists.append(list) }
        }
    }

    private mutating func adoptBlocks() throws(DatapathError) {
        for key in try blocks.keys() {
            generations[key.generation, default: []].append(key)
            blockCount += 1
        }
        lastGeneration = max(lastGeneration, generations.keys.max() ?? 0)
        adoptedGenerations = Set(generations.keys)
        retireAdoptedGenerations()
    }

    /// Of sets that nothing is denied to; has no lists.
    static let allowAll = WEFT_POLICY_VERSION_ALLOW

    /// A number that no version has. Those retired have lower ones, until 2^32 were made.
    mutating func nextVersion() -> UInt32 {
        repeat {
            lastVersion &+= 1
        } while lastVersion == 0 || lastVersion == Self.allowAll || versions[lastVersion] != nil
        return lastVersion
    }

    mutating func nextGeneration() -> UInt32 {
        repeat {
            lastGeneration &+= 1
        } while lastGeneration == 0 || generations[lastGeneration] != nil
        return lastGeneration
    }

    /// - Parameter endpoints: the sets of all endpoints; asked once in 65,535 numbers.
    mutating func newSet(
        _ endpoints: () throws(DatapathError) -> Set<UInt32>
    ) throws(DatapathError) -> UInt32 {
        if unused.isEmpty {
            let taken = try endpoints().union(issued).union(sets.keys)
            unused = (1..<UInt32(max(words.count, 1))).reversed().filter { !taken.contains($0) }
        }
        while let set = unused.popLast() {
            // Somebody may have published under a number that wasn't handed out.
            guard sets[set] == nil else { continue }
            issued.insert(set)
            return set
        }
        throw .mapFull(map: words.name, action: "giving a policy set a number")
    }

    /// Puts a version in force under a set, or none; the former is retired with its last set.
    mutating func lead(_ set: UInt32, to number: UInt32?) {
        let former = sets[set]
        guard former != number else { return }
        sets[set] = number
        if let number { versions[number]?.uses += 1 }
        words.publish(number.map { versions[$0]?.word ?? UInt64($0) } ?? 0, at: Int(set))
        if let former { release(former) }
        retireAdoptedGenerations()
    }

    mutating func remove(_ set: UInt32) {
        issued.remove(set)
        lead(set, to: nil)
    }

    private mutating func release(_ number: UInt32) {
        guard versions[number] != nil else { return }
        versions[number]!.uses -= 1
        if versions[number]!.uses == 0 { retire(number) }
    }

    private mutating func retire(_ number: UInt32) {
        guard let version = versions.removeValue(forKey: number) else { return }
        retired.peers += version.lists.keys.map { $0.key(in: number) }
        retired.lists += version.lists.values
    }

    private mutating func retireAdoptedGenerations() {
        guard !adoptedGenerations.isEmpty else { return }
        let named = Set(versions.values.map(\.blocks))
        for generation in adoptedGenerations.subtracting(named) {
            adoptedGenerations.remove(generation)
            retired.blocks += generations.removeValue(forKey: generation) ?? []
        }
    }
}

extension PolicyTable.Version {
    var hasStandardLists: Bool {
        FlowPolicy.Direction.allCases.allSatisfy {
            lists[PolicyTable.Entry(peer: PolicyTable.Entry.anyone, direction: $0)] != nil
        }
    }
}
