// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshPolicy

/// A book and what the kernel holds of it.
struct PolicyForce {
    struct Version {
        var compiled: CompiledPolicy
        /// Numbers of the sets that share it; not empty.
        var sets: Set<UInt32> = []
        /// In the kernel.
        var number: UInt32 = 0
    }

    /// What is to be published as a version.
    struct Draft {
        let set: PolicySet
        let image: PolicyImage
        let sets: [UInt32]
    }

    var book: PolicyBook
    var blocks: PolicyBlocks
    var peers: PolicyPeers
    var versions: [PolicySet: Version] = [:]
    var known: Set<DatapathPeer> = []
    /// Of all peers, once they were needed.
    var matches: [PeerKey: PeerMatches]?
    /// Whether all lists are what they should be, so that the next book may go on from them.
    var isSound = true
}

extension PolicyForce {
    /// Goes on to the next book.
    ///
    /// - Parameter sets: of this node's endpoints.
    /// - Returns: nil if that tells addresses apart otherwise, or the lists aren't sound.
    func following(
        _ book: PolicyBook, _ sets: [Principal: UInt32]
    ) throws(PolicyOverflow) -> (PolicyForce, [Draft])? {
        guard isSound, let changes = book.changes(since: self.book) else { return nil }
        let touched = allPeers.filter { changes.concerns($0.peer, in: $0.key.prefix) }
            .map { (key: $0.key, matches: book.matches(of: $0.peer, in: $0.key.prefix)) }
        var next = PolicyForce(book: book, blocks: blocks, peers: peers, known: known)
        var former: [UInt32: PolicySet] = [:]
        for (set, version) in versions {
            for number in version.sets { former[number] = set }
        }
        var drafts: [(set: PolicySet, image: PolicyImage, after: Version?)] = []
        for (principal, number) in sets {
            let set = book.set(for: principal)
            if next.versions[set] == nil {
                if !set.isEmpty, let held = former[number], !held.isEmpty,
                    let version = versions[held],
                    let compiled = try CompiledPolicy(
                        set, in: book, after: version.compiled, touched: touched)
                {
                    next.versions[set] = Version(compiled: compiled, number: version.number)
                    let image = PolicyImage(
                        compiled, after: version.compiled, base: number,
                        peers: touched.lazy.map(\.key), next.blocks)
                    drafts.append((set, image, version))
                } else {
                    let compiled = try next.compile(set)
                    next.versions[set] = Version(compiled: compiled)
                    drafts.append((set, next.image(of: compiled, for: set), nil))
                }
            }
            next.versions[set]?.sets.insert(number)
        }
        return (
            next,
            drafts.compactMap { set, image, former in
                let sets = next.versions[set]?.sets ?? []
                if let former, former.sets == sets, !image.differs(from: former.compiled) {
                    return nil
                }
                return Draft(set: set, image: image, sets: sets.sorted())
            }
        )
    }

    /// With all peers there are.
    mutating func compile(_ set: PolicySet) throws(PolicyOverflow) -> CompiledPolicy {
        var compiled = try CompiledPolicy(set, in: book)
        guard !set.isEmpty else { return compiled }
        if matches == nil {
            matches = [:]
            for (key, peer) in peers.all { matches?[key] = book.matches(of: peer, in: key.prefix) }
        }
        for (key, matches) in matches ?? [:] { try compiled.insert(key, matches) }
        return compiled
    }

    /// Those outside the mesh included.
    private var allPeers: [(key: PeerKey, peer: PolicyPeer)] {
        peers.all.map { ($0, $1) }
            + ([nil] + book.classes.prefixes.map { Optional($0) }).map {
                (PeerKey(identity: .world, prefix: $0), .world)
            }
    }

    func image(of compiled: CompiledPolicy, for set: PolicySet) -> PolicyImage {
        set.isEmpty ? .allowAll : PolicyImage(compiled, blocks)
    }

    /// Brings the lists of a peer up to date.
    ///
    /// - Returns: whether any has changed.
    mutating func judge(_ key: PeerKey, _ datapath: any Datapath) throws -> Bool {
        let found = peers.all[key].map { book.matches(of: $0, in: key.prefix) }
        matches?[key] = found
        let peer = blocks.peer(key)
        var isChanged = false
        // By key: who holds a version beside the dictionary has its lists copied by the change.
        for set in Array(versions.keys) where !set.isEmpty {
            let before = PolicyDirection.allCases.map { versions[set]!.compiled.lists($0)[key] }
            if let found {
                try versions[set]!.compiled.insert(key, found)
            } else {
                versions[set]!.compiled.remove(key)
            }
            let now = PolicyDirection.allCases.map { versions[set]!.compiled.lists($0)[key] }
            guard now != before, let number = versions[set]!.sets.first else { continue }
            isChanged = true
            try datapath.setPolicyPeer(
                peer, egress: now[0]?.datapathIntervals, ingress: now[1]?.datapathIntervals,
                in: number)
        }
        return isChanged
    }
}

extension PolicyPeer {
    /// Whether a denial is final: an endpoint without a number will have one.
    var isSettled: Bool { self != .initializing && self != .unknown }
}
