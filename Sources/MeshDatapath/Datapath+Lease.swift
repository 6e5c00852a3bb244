// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
public import MeshModel

/// Whose lease lets the kernel answer other nodes' probes.
public struct ResponderLease: Hashable, Sendable {
    /// How long it lasts after it was renewed.
    public static let length = Duration.milliseconds(WEFT_LEASE_MILLISECONDS)

    /// Of the agent: another one after every start.
    public let instance: UInt64
    public let renewed: Instant

    public init(instance: UInt64, renewed: Instant) {
        self.instance = instance
        self.renewed = renewed
    }
}

extension Datapath {
    /// Lets the kernel answer other nodes' probes in this agent's name for another
    /// ``ResponderLease/length``, whatever becomes of the agent: one 8-byte store, no system call,
    /// no lock. Without a ``DatapathConfiguration/responder`` it has no effect.
    ///
    /// - Parameter now: `CLOCK_MONOTONIC`, not zero.
    public func renewLease(of instance: UInt64, at now: Instant) {
        let words = core.storage.responder
        // Until the next store an answer may name this instance beside the age of an earlier one's
        // lease, which says too little of this one.
        if words.word(at: ResponderWord.instance) != instance {
            words.publish(instance, at: ResponderWord.instance)
        }
        words.publish(now.nanoseconds, at: ResponderWord.renewed)
    }

    /// For a node that leaves: from now on probes are left to whoever listens.
    public func endLease() { core.storage.responder.publish(0, at: ResponderWord.renewed) }

    /// The lease that was renewed last, by this agent or an earlier one, over or not; nil when it
    /// was ended.
    public var lease: ResponderLease? {
        let renewed = core.storage.responder.word(at: ResponderWord.renewed)
        guard renewed != 0 else { return nil }
        return ResponderLease(
            instance: core.storage.responder.word(at: ResponderWord.instance),
            renewed: Instant(nanoseconds: renewed))
    }
}

/// Indexes in the responder's map.
private enum ResponderWord {
    static let renewed = Int(WEFT_RESPONDER_RENEWED.rawValue)
    static let instance = Int(WEFT_RESPONDER_INSTANCE.rawValue)
}
