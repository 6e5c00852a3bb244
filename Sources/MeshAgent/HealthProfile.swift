// SPDX-License-Identifier: Apache-2.0

import MeshMembership
import MeshReachability

/// The parameters of everything that judges life, under one name in the configuration.
public enum HealthProfile: String, CaseIterable, Sendable {
    case fast
    case `default`
    case frugal

    var reachability: ReachabilityParameters {
        switch self {
        case .fast: .fast
        case .default: .default
        case .frugal: .frugal
        }
    }

    var membership: MembershipParameters {
        switch self {
        case .fast: .fast
        case .default: .default
        case .frugal: .frugal
        }
    }
}

extension NodeLiveness.Belief {
    /// Nil for a node never heard: nothing is believed of it.
    init?(_ state: MemberState) {
        switch state {
        case .unknown: return nil
        case .alive: self = .live
        case .suspect: self = .suspect
        case .dead: self = .dead
        case .left: self = .left
        }
    }
}
