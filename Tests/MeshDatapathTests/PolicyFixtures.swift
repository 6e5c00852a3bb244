// SPDX-License-Identifier: Apache-2.0

import CMeshABI
import MeshModel
import Synchronization

@testable import MeshDatapath

func interval(_ start: UInt32, _ verdict: PolicyVerdict, rule: Int32 = 0) -> PolicyInterval {
    PolicyInterval(start: start, verdict: verdict, rule: rule)
}

/// A list of one verdict.
func all(_ verdict: PolicyVerdict, rule: Int32 = 0) -> [PolicyInterval] {
    [interval(0, verdict, rule: rule)]
}

func peer(_ number: UInt32, block: UInt32 = 0) -> DatapathPeer {
    DatapathPeer(identity: Identity(cluster: cluster(2), local: 256 + number)!, block: block)
}

/// Denies everybody but `peers` peers, each of which has a list of its own in both directions.
func image(peers: Int, rule: Int32 = 1, blocks: UInt32 = 0) -> PolicyImage {
    var lists: [DatapathPeer: [PolicyInterval]] = [:]
    for number in 0..<peers {
        lists[peer(UInt32(number))] = [
            interval(0, .deny, rule: rule), interval(UInt32(number) + 1, .allow, rule: rule),
        ]
    }
    return PolicyImage(
        blocks: blocks,
        standard: .init(egress: all(.deny, rule: rule), ingress: all(.denyUnknown, rule: rule)),
        egress: lists, ingress: lists)
}

extension Datapath {
    /// What the programs would find: nil where they deny without a rule.
    func decision(
        _ direction: FlowPolicy.Direction, of set: UInt32, on peer: DatapathPeer,
        traffic: UInt32 = 0
    ) throws -> PolicyInterval? {
        let storage = core.storage
        let version = UInt32(truncatingIfNeeded: storage.policySets.word(at: Int(set)))
        guard version != 0 else { return nil }
        for candidate in [peer, PolicyTable.Entry.anyone] {
            let key = PolicyTable.Entry(peer: candidate, direction: direction).key(in: version)
            guard let value = try storage.policyPeers.lookup(key) else { continue }
            let list = UInt32(truncatingIfNeeded: value)
            guard value == key.value(leadingTo: list) else { return nil }
            let start = Int(list) + 1
            let count = Int(storage.policyIntervals.load(start - 1..<start)[0])
            let words = storage.policyIntervals.load(start..<start + count)
            return words.last { $0 & 0xff_ffff <= UInt64(traffic) }.flatMap { word in
                PolicyVerdict(rawValue: UInt8(truncatingIfNeeded: word >> 24)).map {
                    interval(
                        UInt32(word & 0xff_ffff), $0,
                        rule: Int32(truncatingIfNeeded: Int64(bitPattern: word) >> 32))
                }
            }
        }
        return nil
    }

    /// Elements in the maps of policies, by name.
    func policyUsage() throws -> [String: Int] {
        try mapUsage().reduce(into: [:]) { usage, map in
            if map.name.hasPrefix("weft_policy"), let entries = map.entries {
                usage[map.name] = entries
            }
        }
    }
}

/// Decides as an image says, by itself.
extension PolicyImage {
    func decision(
        _ direction: FlowPolicy.Direction, on peer: DatapathPeer, traffic: UInt32 = 0
    ) -> PolicyInterval? {
        let (own, standard) =
            direction == .egress ? (egress, self.standard.egress) : (ingress, self.standard.ingress)
        return (own[peer] ?? standard).last { $0.start <= traffic }
    }
}
