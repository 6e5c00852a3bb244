// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshPolicy

extension PolicyImage {
    init(_ compiled: CompiledPolicy, _ blocks: PolicyBlocks) {
        var known: [VerdictList: [PolicyInterval]] = [:]
        func intervals(_ list: VerdictList) -> [PolicyInterval] {
            if let intervals = known[list] { return intervals }
            let intervals = list.datapathIntervals
            known[list] = intervals
            return intervals
        }
        func lists(_ direction: PolicyDirection) -> [DatapathPeer: [PolicyInterval]] {
            var lists: [DatapathPeer: [PolicyInterval]] = [:]
            for (key, list) in compiled.lists(direction) {
                lists[blocks.peer(key)] = intervals(list)
            }
            return lists
        }
        self.init(
            blocks: blocks.generation,
            standard: Standard(
                egress: intervals(compiled.standardList(.egress)),
                ingress: intervals(compiled.standardList(.ingress))),
            egress: lists(.egress), ingress: lists(.ingress))
    }
}

extension VerdictList {
    var datapathIntervals: [PolicyInterval] {
        intervals.map {
            PolicyInterval(
                start: $0.start,
                verdict: $0.allows ? .allow : $0.dependsOnPeer ? .denyUnknown : .deny,
                rule: $0.reasonCode)
        }
    }
}
