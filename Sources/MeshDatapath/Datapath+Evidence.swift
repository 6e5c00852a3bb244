// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
public import MeshModel
internal import Synchronization

extension Datapath {
    /// What the programs hold against backends, in the kernel's order. A backend has an entry after
    /// its first failure, whether it belongs to a service or not; the least recently used make room.
    ///
    /// - Complexity: one system call for each 1,024 elements, all of the map's buckets.
    public func evidence() throws(DatapathError) -> [BackendEvidence] {
        let elements = try core.storage.evidence.elements()
        guard !elements.isEmpty else { return [] }
        return core.state.withLock { state in
            elements.compactMap { key, value in
                BackendEvidence(key, value, node: state.nodes.name(of: value.node))
            }
        }
    }

    /// Begins anew with backends; one that has no entry is success.
    public func forgetEvidence(against backends: [BackendKey]) throws(DatapathError) {
        for backend in backends {
            try core.storage.evidence.delete(weft_evidence_key(backend))
        }
    }
}

extension weft_evidence_key {
    init(_ backend: BackendKey) {
        self.init(
            address: weft_address(backend.address), port: backend.port.bigEndian,
            protocol: backend.transport.rawValue, pad: 0)
    }
}

extension weft_evidence {
    /// - Parameter node: index of the evidence's node.
    init(_ evidence: BackendEvidence, node: UInt32) {
        self.init(
            answered_at: evidence.answered.last.nanoseconds,
            silent_at: evidence.silent.last.nanoseconds,
            refused_at: evidence.refused.last.nanoseconds,
            unreachable_at: evidence.unreachable.last.nanoseconds,
            denied_at: evidence.denied.nanoseconds,
            answered: evidence.answered.count, openings: evidence.failedOpenings,
            silent: evidence.silent.count, refused: evidence.refused.count,
            unreachable: evidence.unreachable.count,
            retracted_openings: evidence.retractedOpenings, retracted: evidence.retracted,
            node: node, ifindex: evidence.interface,
            cluster: evidence.node?.cluster.rawValue ?? 0, pad: 0)
    }
}

extension BackendEvidence {
    /// Nil for a protocol that no service has.
    init?(_ key: weft_evidence_key, _ value: weft_evidence, node: NodeID?) {
        guard let transport = TransportProtocol(rawValue: key.protocol) else { return nil }
        func tally(_ count: UInt32, _ last: UInt64) -> Tally {
            Tally(count, last: Instant(nanoseconds: last))
        }
        self.init(
            backend: BackendKey(
                address: Address(key.address), port: UInt16(bigEndian: key.port),
                transport: transport),
            node: node, interface: value.ifindex)
        answered = tally(value.answered, value.answered_at)
        silent = tally(value.silent, value.silent_at)
        refused = tally(value.refused, value.refused_at)
        unreachable = tally(value.unreachable, value.unreachable_at)
        failedOpenings = value.openings
        denied = Instant(nanoseconds: value.denied_at)
        retractedOpenings = value.retracted_openings
        retracted = value.retracted
    }
}
