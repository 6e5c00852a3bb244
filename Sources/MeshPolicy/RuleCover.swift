// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension PolicyRule {
    /// Whether it surely means all traffic that `other` does.
    func covers(_ other: PolicyRule) -> Bool {
        let coversPeers =
            peers.map { mine in
                other.peers?.allSatisfy { theirs in mine.contains { $0.covers(theirs) } } ?? false
            } ?? true
        let coversPorts =
            ports.map { mine in
                other.ports?.allSatisfy { theirs in mine.contains { $0.covers(theirs) } } ?? false
            } ?? true
        return coversPeers && coversPorts
    }
}

extension PeerMatcher {
    fileprivate func covers(_ other: PeerMatcher) -> Bool {
        if self == other || self == .entity(.all) { return true }
        switch (self, other) {
        case (.endpoints(let wide), .endpoints(let narrow)):
            return wide.namesClusters == narrow.namesClusters
                && Set(wide.requirements).isSubset(of: narrow.requirements)
        case (.network(let wide), .network(let narrow)):
            return wide.except.isEmpty && (!wide.worldOnly || narrow.worldOnly)
                && wide.prefix.covers(narrow.prefix)
        default: return false
        }
    }
}

extension PortMatcher {
    fileprivate func covers(_ other: PortMatcher) -> Bool {
        switch (self, other) {
        case (.range(let mine, let wide), .range(let theirs, let narrow)):
            mine == theirs && wide.contains(narrow.lowerBound) && wide.contains(narrow.upperBound)
        case (.range(let number, 0...UInt16.max), .named(_, let transport?)):
            number == transport.rawValue
        default: self == other
        }
    }
}
