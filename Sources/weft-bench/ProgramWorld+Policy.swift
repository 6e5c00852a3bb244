// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import MeshModel

extension ProgramWorld {
    private static let policySet: UInt32 = 1
    private static let policyVersion: UInt32 = 1

    /// Puts the local endpoint under a policy with `rules` intervals in the remote one's lists, and as
    /// many peers with lists of their own; nil takes it away.
    func setPolicy(rules: Int?, denying: Bool = false) throws {
        let words = try MappedArray<UInt64>(object.map(named: "weft_policy_sets"))
        if let rules { try publish(rules: rules, denying: denying) }
        words.publish(UInt64(rules == nil ? 0 : Self.policyVersion), at: Int(Self.policySet))
        let endpoints = try HashMap<weft_address, weft_endpoint>(
            object.map(named: "weft_endpoints"))
        let address = weft_address(Self.localAddress)
        guard var row = try endpoints.lookup(address) else { return }
        row.policy_set = rules == nil ? UInt32(WEFT_POLICY_ALLOW_ALL) : Self.policySet
        try endpoints.update(address, row)
    }

    private func publish(rules: Int, denying: Bool) throws {
        let intervals = try MappedArray<UInt64>(object.map(named: "weft_policy_intervals"))
        let verdict = UInt64((denying ? WEFT_POLICY_DENY : WEFT_POLICY_ALLOW).rawValue) << 24
        let tcp = UInt64(6) << 16
        var list: [UInt64] = [UInt64(rules)]
        for number in 0..<rules {
            let start = number == 0 ? 0 : tcp + UInt64(number * (65_535 / max(rules, 2)))
            list.append(verdict | UInt64(number) << 32 | start)
        }
        intervals.store(list, at: 1)
        let peers = try HashMap<weft_policy_peer_key, UInt64>(
            object.map(named: "weft_policy_peers"))
        let remote = Self.identity(cluster: 2)
        let others = (0..<UInt32(max(rules, 1))).map { remote + $0 }
        var keys: [weft_policy_peer_key] = []
        for direction in [WEFT_EGRESS, WEFT_INGRESS] {
            for identity in others + [WEFT_POLICY_ANYONE] {
                keys.append(
                    weft_policy_peer_key(
                        version: Self.policyVersion, identity: identity, block: 0,
                        direction: UInt8(direction.rawValue), pad0: 0, pad1: 0))
            }
        }
        for key in keys {
            var tagged = key
            try peers.update(key, UInt64(weft_policy_tag(&tagged, 1)) << 32 | 1)
        }
    }

    /// Forgets every connection: each packet is the first of its flow again.
    func forgetConnections() throws {
        let table = try HashMap<weft_connection_key, weft_connection>(
            object.map(named: "weft_connections"))
        try table.delete(try table.keys())
    }
}
