// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
public import MeshModel

extension MemoryDatapath {
    /// What programs would do with a flow.
    public struct Judgement: Hashable, Sendable {
        public enum Outcome: Hashable, Sendable {
            case allowed
            case denied
            /// Denied until lists are made for the peer.
            case unknownIdentity
        }

        public let outcome: Outcome
        /// 0: the set has none with lists.
        public let version: UInt32
        /// Of the interval that decided; 0: none did.
        public let rule: Int32
    }

    /// Looks a flow up as the programs do, in the maps alone.
    ///
    /// - Parameters:
    ///   - endpoint: of this node; one without a row reaches nobody.
    ///   - address: the peer's.
    ///   - traffic: as ``PolicyInterval/start``.
    public func judge(
        _ direction: FlowPolicy.Direction, endpoint: Address, peer: Identity, at address: Address,
        traffic: UInt32
    ) throws(DatapathError) -> Judgement {
        let storage = core.storage
        guard let row = try storage.endpoints.lookup(weft_address(endpoint)) else {
            return Judgement(outcome: .denied, version: 0, rule: 0)
        }
        guard row.policy_set != UInt32(WEFT_POLICY_ALLOW_ALL), endpoint != address else {
            return Judgement(outcome: .allowed, version: 0, rule: 0)
        }
        let word = storage.policySets.word(at: Int(row.policy_set))
        let version = UInt32(truncatingIfNeeded: word)
        if version == 0 { return Judgement(outcome: .denied, version: 0, rule: 0) }
        if version == PolicyTable.allowAll {
            return Judgement(outcome: .allowed, version: 0, rule: 0)
        }
        let block =
            direction == .ingress && peer.reserved == .host
            ? 0 : try block(of: address, UInt32(truncatingIfNeeded: word >> 32))
        func list(_ identity: UInt32, _ block: UInt32) throws(DatapathError) -> Int? {
            let key = weft_policy_peer_key(
                version: version, identity: identity, block: block, direction: direction.rawValue,
                pad0: 0, pad1: 0)
            return try storage.policyPeers.lookup(key).map { Int(UInt32(truncatingIfNeeded: $0)) }
        }
        var found = try list(peer.rawValue, block)
        if found == nil { found = try list(WEFT_POLICY_ANYONE, 0) }
        guard let first = found else {
            return Judgement(outcome: .denied, version: version, rule: 0)
        }
        let count = Int(storage.policyIntervals.load(first..<first + 1)[0])
        let intervals = storage.policyIntervals.load(first + 1..<first + 1 + count)
        let interval = intervals.last { UInt32(truncatingIfNeeded: $0) & 0xff_ffff <= traffic } ?? 0
        let known = weft_policy_known_key(identity: peer.rawValue, block: block)
        let outcome: Judgement.Outcome
        switch PolicyVerdict(rawValue: UInt8(truncatingIfNeeded: interval >> 24)) {
        case .allow: outcome = .allowed
        case .denyUnknown:
            outcome = try storage.policyKnown.lookup(known) == nil ? .unknownIdentity : .denied
        case .deny, nil: outcome = .denied
        }
        return Judgement(
            outcome: outcome, version: version,
            rule: Int32(truncatingIfNeeded: Int64(bitPattern: interval) >> 32))
    }

    private func block(
        of address: Address, _ generation: UInt32
    ) throws(DatapathError) -> UInt32 {
        guard generation != 0 else { return 0 }
        var found: (length: UInt8, block: UInt32) = (0, 0)
        for (key, block) in try core.storage.policyBlocks.elements()
        where key.generation == generation {
            let prefix = Prefix(
                address: Address(key.address), length: UInt8(clamping: key.length - 32))
            guard let prefix, prefix.contains(address), prefix.length >= found.length else {
                continue
            }
            found = (prefix.length, block)
        }
        return found.block
    }
}
