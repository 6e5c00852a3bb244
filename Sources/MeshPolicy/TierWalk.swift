// SPDX-License-Identifier: Apache-2.0

/// Asks tier after tier what becomes of a flow, and what else could if rules that might mean an
/// unknown peer did.
struct TierWalk {
    struct Actions: OptionSet {
        let rawValue: UInt8

        static let accept = Actions(rawValue: 1)
        static let deny = Actions(rawValue: 2)
        static let pass = Actions(rawValue: 4)
    }

    private var allows = true
    private(set) var reason = ReasonCode.noPolicy
    private var isDecided = false
    private var couldAllow = false
    private var couldDeny = false
    /// Whether the next tier can matter.
    private(set) var isOpen = true

    /// - Parameters:
    ///   - certain: the first rule of the tier that means the flow for sure.
    ///   - possible: actions of the rules before it that may mean the flow.
    ///   - isolation: why the tier denies what none of its rules means, if it does.
    mutating func ask(
        certain: (action: PolicyAction, reason: ReasonCode)?, possible: Actions,
        isolation: ReasonCode? = nil
    ) {
        couldAllow = couldAllow || possible.contains(.accept)
        couldDeny = couldDeny || possible.contains(.deny)
        let outcome = certain ?? isolation.map { (.deny, $0) } ?? (.pass, .noPolicy)
        switch outcome.action {
        case .accept: decide(true, outcome.reason)
        case .deny: decide(false, outcome.reason)
        case .pass: return
        }
        isOpen = possible.contains(.pass)
    }

    private mutating func decide(_ allows: Bool, _ reason: ReasonCode) {
        if allows { couldAllow = true } else { couldDeny = true }
        guard !isDecided else { return }
        (self.allows, self.reason, isDecided) = (allows, reason, true)
    }

    /// What holds whoever the peer is; denied if that isn't one thing.
    var verdict: Verdict {
        let couldAllow = couldAllow || isOpen
        if allows {
            return couldDeny
                ? Verdict(allows: false, dependsOnPeer: true, reason: .undetermined)
                : Verdict(allows: true, dependsOnPeer: false, reason: reason)
        }
        return Verdict(allows: false, dependsOnPeer: couldAllow, reason: reason)
    }
}

/// A decision in few bytes, for the book that it comes from to read.
struct Verdict: Hashable, Sendable {
    let allows: Bool
    let dependsOnPeer: Bool
    let reason: ReasonCode

    static let ownNode = Verdict(allows: true, dependsOnPeer: false, reason: .ownNode)
}

/// One of a book's ``PolicyCodes``, or a reason that no policy gives.
struct ReasonCode: RawRepresentable, Hashable, Sendable {
    let rawValue: Int32

    static let noPolicy = ReasonCode(rawValue: -1)
    static let undetermined = ReasonCode(rawValue: -2)
    static let ownNode = ReasonCode(rawValue: -3)
}
