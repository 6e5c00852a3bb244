// SPDX-License-Identifier: Apache-2.0

/// The lease of a cluster whose publisher is one configured node: there is nobody to share it with,
/// but its token, epochs and identity mark must outlive the process.
public actor StaticLeaseStore: LeaseStore {
    public nonisolated let parameters = LeaseParameters.exclusive
    private let load: @Sendable () throws -> String?
    private let save: @Sendable (String) throws -> Void

    /// - Parameters:
    ///   - load: the text that was saved last, nil if there is none.
    ///   - save: replaces the text, whole or not at all, and returns when it would survive a loss of
    ///     power. If it throws, either text may be there.
    public init(
        load: @escaping @Sendable () throws -> String?,
        save: @escaping @Sendable (String) throws -> Void
    ) {
        self.load = load
        self.save = save
    }

    public func read() throws(LeaseStoreError) -> LeaseState? {
        let text: String?
        do { text = try load() } catch { throw LeaseStoreError(.unavailable, "\(error)") }
        guard let text else { return nil }
        guard let record = LeaseRecord(text) else {
            throw LeaseStoreError(.malformed, "the lease file holds no lease record")
        }
        return LeaseState(record: record, version: LeaseVersion(rawValue: text))
    }

    /// The record's text is its version: nobody else could change it there and back.
    public func swap(
        _ record: LeaseRecord, replacing version: LeaseVersion?
    ) throws(LeaseStoreError) -> LeaseSwap {
        let current = try read()
        guard current?.version == version else { return .conflict(current) }
        do { try save(record.description) } catch {
            throw LeaseStoreError(.unavailable, "\(error)")
        }
        return .swapped(LeaseVersion(rawValue: record.description))
    }

    /// Nobody else writes: the keeper knows each change from its own swaps.
    public nonisolated func changes() -> AsyncStream<LeaseState?> { AsyncStream { _ in } }
}
