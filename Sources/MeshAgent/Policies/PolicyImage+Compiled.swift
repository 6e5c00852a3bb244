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
            blocks: blocks.generation, standard: Standard(compiled),
            egress: lists(.egress), ingress: lists(.ingress))
    }

    /// What differs from the version in force under the set `base`.
    ///
    /// - Parameters:
    ///   - former: what that version was made of.
    ///   - peers: those whose lists may differ.
    init(
        _ compiled: CompiledPolicy, after former: CompiledPolicy, base: UInt32,
        peers: some Sequence<PeerKey>, _ blocks: PolicyBlocks
    ) {
        func lists(_ direction: PolicyDirection) -> [DatapathPeer: [PolicyInterval]] {
            let (before, now) = (former.lists(direction), compiled.lists(direction))
            var lists: [DatapathPeer: [PolicyInterval]] = [:]
            for key in peers where before[key] != now[key] {
                lists[blocks.peer(key)] = now[key]?.datapathIntervals ?? []
            }
            return lists
        }
        self.init(
            base: base, blocks: blocks.generation, standard: Standard(compiled),
            egress: lists(.egress), ingress: lists(.ingress))
    }

    /// Whether it has another list than the version that it was made after.
    func differs(from former: CompiledPolicy) -> Bool {
        !egress.isEmpty || !ingress.isEmpty || standard != Standard(former)
    }
}

extension PolicyImage.Standard {
    fileprivate init(_ compiled: CompiledPolicy) {
        self.init(
            egress: compiled.standardList(.egress).datapathIntervals,
            ingress: compiled.standardList(.ingress).datapathIntervals)
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
