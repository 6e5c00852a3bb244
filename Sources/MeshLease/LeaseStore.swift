// SPDX-License-Identifier: Apache-2.0

/// Where the lease of one cluster's publisher is kept: a configured node's disk, etcd, or a
/// Kubernetes `Lease`. Taking, renewing, releasing, opening an epoch and reserving identities are
/// each one compare-and-swap, which ``LeaseKeeper`` decides on.
public protocol LeaseStore: Sendable {
    /// How the keeper of this store has to behave.
    var parameters: LeaseParameters { get }

    /// - Returns: nil if there is no record. What is returned was current after the call began.
    /// - Throws: the record is unknown; the keeper asks again.
    func read() async throws(LeaseStoreError) -> LeaseState?

    /// Replaces the record if it still has `version`; creates it if `version` is nil and there is none.
    ///
    /// - Throws: nothing is known: the swap may take effect now, later, or never. The keeper repeats
    ///   it, which is safe because at most one swap of a version succeeds.
    func swap(
        _ record: LeaseRecord, replacing version: LeaseVersion?
    ) async throws(LeaseStoreError) -> LeaseSwap

    /// The record as it is now and after every change, as soon as the store tells; nil means there
    /// is none. States may be left out, but not the last one. The stream reconnects by itself and
    /// ends only when its consumer goes.
    func changes() -> AsyncStream<LeaseState?>
}

extension LeaseStore {
    /// Carries out a keeper's call.
    public func answer(to request: LeaseCall.Request) async -> LeaseAnswer {
        do throws(LeaseStoreError) {
            switch request {
            case .read: return .read(try await read())
            case .swap(let record, let version):
                return .swap(try await swap(record, replacing: version))
            }
        } catch {
            return .failed(error)
        }
    }
}

/// Names one write of the record, in the store's own terms: etcd's `mod_revision`, Kubernetes'
/// `resourceVersion`. Only ever compared for equality.
public struct LeaseVersion: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
}

public struct LeaseState: Hashable, Sendable {
    public let record: LeaseRecord
    public let version: LeaseVersion

    public init(record: LeaseRecord, version: LeaseVersion) {
        self.record = record
        self.version = version
    }
}

public enum LeaseSwap: Hashable, Sendable {
    case swapped(LeaseVersion)
    /// The record had another version; it is unchanged, and this is what it is. Nil: there is none.
    case conflict(LeaseState?)
}

/// Why a store didn't answer. The lease is unaffected; its holder keeps it until its deadline.
public struct LeaseStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// No answer, or none in time.
        case unavailable
        /// The store refuses this client or this request.
        case refused
        /// The store holds something that is no lease record. An operator has to repair or delete it.
        case malformed
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "lease store \(code.rawValue): \(message)" }
}
