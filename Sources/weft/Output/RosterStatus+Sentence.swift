// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

extension RosterStatus {
    /// Why it isn't a member, and which root to compare; nil if there is nothing to do about it.
    var sentence: String? {
        let root = "root \(roots.joined(separator: ", "))"
        switch state {
        case .pending, .conflicted:
            return "\(state.rawValue): \(reason ?? "unknown"); \(root)."
        case .member where asksForMore:
            return "It asks for a larger charter: 'weft cluster accept' grants it."
        case .member, .left, .forgotten: return nil
        }
    }
}
