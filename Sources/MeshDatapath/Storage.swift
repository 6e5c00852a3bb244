// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI

// What the tables of this module are written to: kernel maps, or memory that behaves like them.
// Every implementation counts its writes.

/// A hash or a trie.
protocol KeyedMap<Key, Value>: Sendable {
    associatedtype Key: BitwiseCopyable
    associatedtype Value: BitwiseCopyable

    var name: String { get }
    var capacity: Int { get }
    func lookup(_ key: Key) throws(DatapathError) -> Value?
    /// - Throws: `.mapFull` naming the map and `action`.
    func update(_ key: Key, _ value: Value, for action: @autoclosure () -> String)
        throws(DatapathError)
    /// Writes many elements as if one after the other.
    ///
    /// - Parameter action: says what an element, by its index, is written for.
    /// - Returns: the errors of those that failed, by index; all others are written.
    func update(_ elements: [(key: Key, value: Value)], for action: (Int) -> String)
        -> [Int: DatapathError]
    /// Deleting what is gone is success and counts as a write.
    func delete(_ key: Key) throws(DatapathError)
    /// As one after the other, as far as the error.
    func delete(_ keys: [Key]) throws(DatapathError)
    func keys() throws(DatapathError) -> [Key]
    func elements() throws(DatapathError) -> [(key: Key, value: Value)]
}

/// An array written one element at a time.
protocol ElementArray<Element>: Sendable {
    associatedtype Element: BitwiseCopyable

    var name: String { get }
    var count: Int { get }
    func load(_ index: Int) throws(DatapathError) -> Element
    func store(_ element: Element, at index: Int) throws(DatapathError)
}

/// An array in shared memory whose ranges are written before they are published.
protocol Slab<Element>: Sendable {
    associatedtype Element: BitwiseCopyable

    var name: String { get }
    var count: Int { get }
    func load(_ range: Range<Int>) -> [Element]
    func store(_ elements: [Element], at start: Int)
}

/// An array of words, each read and published by itself.
protocol WordArray: Sendable {
    var name: String { get }
    var count: Int { get }
    func word(at index: Int) -> UInt64
    /// One store with release semantics.
    func publish(_ word: UInt64, at index: Int)
    /// Stores only where the word is zero.
    func publishIfZero(_ word: UInt64, at index: Int)
    /// Stores what `change` makes of the word, as one step whoever else changes it; nothing if it
    /// makes the same.
    ///
    /// - Parameter change: called again when another was faster.
    func update(at index: Int, _ change: (UInt64) -> UInt64)
}

/// A node's name in the map that remembers indexes: 253 bytes at most, zeros behind.
struct NodeNameRecord: BitwiseCopyable {
    var cluster: UInt16 = 0
    var length: UInt16 = 0
    var bytes = InlineArray<256, UInt8>(repeating: 0)
}

/// Everything the tables write to.
struct Storage: Sendable {
    let frontends: any KeyedMap<weft_frontend_key, UInt32>
    let services: any WordArray
    let lists: any Slab<weft_slice>
    let backends: any Slab<weft_backend>
    let clusters: any WordArray
    let nodes: any WordArray
    let nodeNames: any KeyedMap<UInt32, NodeNameRecord>
    let tunnels: any ElementArray<weft_tunnel>
    let outerSources: any KeyedMap<weft_address, weft_outer_source>
    let endpoints: any KeyedMap<weft_address, weft_endpoint>
    let prefixes: any KeyedMap<weft_prefix_key, weft_cluster_settings>
    let clusterSettings: any ElementArray<weft_cluster_settings>
    /// The programs' own; only deleted from.
    let evidence: any KeyedMap<weft_evidence_key, weft_evidence>
    /// By `enum weft_responder_word`.
    let responder: any WordArray
    let policySets: any WordArray
    let policyPeers: any KeyedMap<weft_policy_peer_key, UInt64>
    let policyIntervals: any Slab<UInt64>
    let policyBlocks: any KeyedMap<weft_policy_block_key, UInt32>
    let policyKnown: any KeyedMap<weft_policy_known_key, UInt32>
}
