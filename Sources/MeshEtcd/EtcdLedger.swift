// SPDX-License-Identifier: Apache-2.0

/// A key and what it holds from now on; nil: nothing.
public struct EtcdRecordChange: Hashable, Sendable {
    public let key: String
    public let value: [UInt8]?

    public init(key: String, value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// One batch of the ledger: at most ``EtcdLimit/changes`` changes of different keys, and
/// ``EtcdLimit/transactionBytes`` bytes. The publisher cuts its batches so that they fit; a batch is
/// never spread over two transactions, for a reader between them would see half of it.
public struct EtcdBatch: Hashable, Sendable {
    public var changes: [EtcdRecordChange]
    /// Of the batch, as every reader verifies it.
    public var head: [UInt8]
    /// The whole batch, as it goes over the wire.
    public var message: [UInt8]

    public init(changes: [EtcdRecordChange], head: [UInt8], message: [UInt8]) {
        self.changes = changes
        self.head = head
        self.message = message
    }

    /// Bytes of the keys and values that the transaction carries.
    public var byteCount: Int {
        changes.reduce(head.count + message.count) {
            $0 + $1.key.utf8.count + ($1.value?.count ?? 0)
        }
    }
}

/// The write of a batch: what the next one is to follow.
public struct EtcdLedgerPosition: Hashable, Sendable {
    let revision: Int64

    /// Before any batch.
    public static let empty = EtcdLedgerPosition(revision: 0)
}

/// Everything that the ledger holds after one batch.
public struct EtcdLedgerSnapshot: Hashable, Sendable {
    public struct Record: Hashable, Sendable {
        public let key: String
        public let value: [UInt8]
    }

    /// In the order of the keys' bytes.
    public let records: [Record]
    /// Empty before the first batch.
    public let head: [UInt8]
    /// The last batch; empty before the first.
    public let message: [UInt8]
    public let position: EtcdLedgerPosition
}

public enum EtcdLedgerEvent: Hashable, Sendable {
    /// Replaces whatever the reader holds.
    case snapshot(EtcdLedgerSnapshot)
    /// The next batch.
    case batch([UInt8], EtcdLedgerPosition)
    /// Batches are missing; a snapshot follows as soon as etcd answers.
    case reset(EtcdReset)
    /// etcd doesn't answer. The reader keeps what it has, and its age grows.
    case interrupted(EtcdError)
}
