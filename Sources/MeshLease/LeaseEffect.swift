// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One request to the store, to be answered with ``LeaseKeeper/receive(_:to:at:using:)``. An answer
/// that doesn't come is no error: the keeper asks again by itself.
public struct LeaseCall: Hashable, Sendable {
    public enum Request: Hashable, Sendable {
        case read
        case swap(LeaseRecord, replacing: LeaseVersion?)
    }

    public let id: UInt64
    public let request: Request
}

public enum LeaseAnswer: Hashable, Sendable {
    case read(LeaseState?)
    case swap(LeaseSwap)
    /// The store didn't answer; a swap may still take effect.
    case failed(LeaseStoreError)
}

/// The right to publish, as long as ``until`` isn't reached on the holder's own clock.
public struct LeaseTenure: Hashable, Sendable {
    public let holder: LeaseHolder
    /// Higher than that of every holder before.
    public let token: UInt64
    /// First instant at which the holder no longer believes. Renewals move it on.
    public let until: Instant
    /// Highest epoch in the store: the holder's own once it has opened one. The next must be above.
    public let epoch: UInt32
    /// Local identity numbers below this are taken.
    public let identities: UInt32
}

public enum LeaseLoss: Hashable, Sendable {
    /// No renewal succeeded in time.
    case expired
    /// The record is somebody else's, or gone: an operator removed it.
    case deposed
    case released
}

public enum LeaseEffect: Hashable, Sendable {
    case call(LeaseCall)
    case acquired(LeaseTenure)
    /// The epoch is this holder's and nobody else's: it may sign its first batch.
    case opened(epoch: UInt32)
    /// These local identity numbers are this holder's to give out, and were nobody's before.
    case reserved(Range<UInt32>)
    /// From this instant on nothing may be published or given out any more.
    case lost(LeaseLoss)
    /// Who holds the lease, as far as this keeper knows, has changed. Nil: there is no record.
    case observed(LeaseRecord?)
    /// The store didn't answer a call. The keeper goes on by itself; an operator may want to know.
    case failed(LeaseStoreError)
}

/// Why a request to the keeper has no effect.
public enum LeaseRefusal: Error, Hashable, Sendable {
    case notHolding
    /// An epoch up to this one may have been opened before, perhaps by another holder.
    case epochNotAbove(UInt32)
    /// There are no more numbers.
    case exhausted
}
