// SPDX-License-Identifier: Apache-2.0

/// What this cluster believes about its path to another cluster, or about a node.
///
/// Raw values are those of `enum weft_state` in the kernel.
public enum Verdict: UInt8, Sendable, CaseIterable, Codable {
    /// Nothing heard yet, which is not dead: used until proven otherwise.
    case unknown = 0
    case up = 1
    /// Silent for too long: no new flows, undone by one heartbeat.
    case suspect = 2
    /// Gone: no new flows, and what is open is reset.
    case unreachable = 3
    /// Back, and watched: weight rises step by step.
    case probation = 4
    /// Leaving by its owner's wish: no new flows, what is open goes on.
    case draining = 5
}

/// The 8-byte word of a cluster or node in the kernel: one store fails over, drains or ramps.
///
/// Bits 0...7 verdict, 8...15 weight (0 takes no new flow), 16...31 generation of policies, 32...63
/// generation. Weights are relative, unitless. The generation changes whenever open flows must look again: on each death, each return
/// and each change of a node's outer address.
public struct LivenessWord: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public init(verdict: Verdict, weight: UInt8, generation: UInt32) {
        rawValue = UInt64(verdict.rawValue) | UInt64(weight) << 8 | UInt64(generation) << 32
    }

    public var verdict: Verdict? { Verdict(rawValue: UInt8(truncatingIfNeeded: rawValue)) }
    public var weight: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 8) }
    public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }

    /// Of a cluster: changes whenever policies' verdicts on open flows must be taken again.
    public var policyGeneration: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }

    public func with(policyGeneration: UInt16) -> LivenessWord {
        LivenessWord(rawValue: rawValue & ~0xffff_0000 | UInt64(policyGeneration) << 16)
    }

    /// The same belief with the next generation of policies.
    public var renewingVerdicts: LivenessWord { with(policyGeneration: policyGeneration &+ 1) }
}
