// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import MeshModel

/// A verdict from `start` on.
struct Interval {
    var start: UInt32
    var verdict: weft_policy_verdict
    var rule: Int32 = 0

    init(_ verdict: weft_policy_verdict, rule: Int32 = 0) { self.init(0, 0, verdict, rule: rule) }

    init(_ transport: UInt8, _ port: UInt16, _ verdict: weft_policy_verdict, rule: Int32 = 0) {
        start = UInt32(transport) << 16 | UInt32(port)
        self.verdict = verdict
        self.rule = rule
    }

    var word: UInt64 {
        UInt64(UInt32(bitPattern: rule)) << 32 | UInt64(verdict.rawValue) << 24 | UInt64(start)
    }
}

/// One version of a policy set, as the agent writes it.
struct PolicyVersion {
    struct Peer: Hashable {
        var identity: UInt32
        var block: UInt32 = 0
        static let anyone = Peer(identity: WEFT_POLICY_ANYONE)
    }

    var egress: [Peer: [Interval]] = [:]
    var ingress: [Peer: [Interval]] = [:]
    var blocks: UInt32 = 0

    /// Allows all that isn't said otherwise.
    static let open: [Interval] = [Interval(WEFT_POLICY_ALLOW)]
    static func closed(rule: Int32 = 0) -> [Interval] { [Interval(WEFT_POLICY_DENY, rule: rule)] }

    /// What everybody may, but for peers that are named.
    init(
        egress: [Interval] = open, ingress: [Interval] = open,
        toPeers: [Peer: [Interval]] = [:], fromPeers: [Peer: [Interval]] = [:], blocks: UInt32 = 0
    ) {
        self.egress = toPeers.merging([.anyone: egress]) { $1 }
        self.ingress = fromPeers.merging([.anyone: ingress]) { $1 }
        self.blocks = blocks
    }
}

extension World {
    /// Writes a version and publishes it.
    func publish(_ policy: PolicyVersion, version: UInt32 = 1, as set: Int = 7) throws {
        for (direction, lists) in [
            (WEFT_EGRESS, policy.egress), (WEFT_INGRESS, policy.ingress),
        ] {
            for (peer, intervals) in lists {
                try lead(
                    weft_policy_peer_key(
                        version: version, identity: peer.identity, block: peer.block,
                        direction: UInt8(direction.rawValue), pad0: 0, pad1: 0),
                    to: addList(intervals))
            }
        }
        policySets[set] = UInt64(policy.blocks) << 32 | UInt64(version)
    }

    /// - Returns: the list's index.
    func addList(_ intervals: [Interval]) -> UInt32 {
        let first = nextInterval
        policyIntervals[first] = UInt64(intervals.count)
        for (index, interval) in intervals.enumerated() {
            policyIntervals[first + 1 + index] = interval.word
        }
        nextInterval += 1 + intervals.count
        return UInt32(first)
    }

    func lead(_ key: weft_policy_peer_key, to list: UInt32) throws {
        var key = key
        try policyPeers.update(key, UInt64(weft_policy_tag(&key, list)) << 32 | UInt64(list))
    }

    func addBlock(_ prefix: Prefix, _ number: UInt32, generation: UInt32) throws {
        try policyBlocks.update(
            weft_policy_block_key(
                length: UInt32(prefix.length) + 32, generation: generation,
                address: weft_address(prefix.address)),
            number)
    }

    func setKnown(_ identity: UInt32, block: UInt32 = 0) throws {
        try policyKnown.update(weft_policy_known_key(identity: identity, block: block), 1)
    }

    /// Has open flows judged again.
    func renewVerdicts() {
        for cluster in 0...3 {
            clusters[cluster] =
                LivenessWord(rawValue: clusters[cluster]).renewingVerdicts.rawValue
        }
    }
}
