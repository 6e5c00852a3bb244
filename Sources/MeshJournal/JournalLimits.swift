// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What one value or transaction may hold.
public enum JournalLimits {
    public static let messageBytes = 4 << 20
    public static let headerBytes = 1 << 20
    public static let bucketBytes = 16 << 20
    public static let keyBytes = 128
    public static let noteBytes = 1 << 20
    public static let transactionBytes = 512 << 20
    /// SQLite's integers are signed.
    public static let revision = UInt64(Int64.max)
}

extension JournalTransaction {
    /// Opaque bytes and keys; what SQLite adds to them is not counted.
    public var byteCount: Int {
        checkpoints.reduce(0) {
            $0 + $1.header.count + $1.buckets.reduce(0) { $0 + $1.bytes.count }
        }
            + batches.reduce(0) { $0 + $1.message.count }
            + notes.reduce(0) { $0 + $1.key.utf8.count + ($1.bytes?.count ?? 0) }
    }

    /// - Throws: `.outOfBounds`, with the name of the bound.
    func checkBounds() throws(JournalError) {
        func bound(_ name: String, _ holds: Bool) throws(JournalError) {
            guard holds else {
                throw JournalError(.outOfBounds, action: "checking a transaction", detail: name)
            }
        }
        typealias Limits = JournalLimits
        for checkpoint in checkpoints {
            try bound("revision", checkpoint.position.revision <= Limits.revision)
            try bound("header", checkpoint.header.count <= Limits.headerBytes)
            for bucket in checkpoint.buckets {
                try bound("bucket", bucket.bytes.count <= Limits.bucketBytes)
            }
        }
        for batch in batches {
            try bound("revision", batch.position.revision <= Limits.revision)
            try bound("message", batch.message.count <= Limits.messageBytes)
        }
        for note in notes {
            try bound("key", (1...Limits.keyBytes).contains(note.key.utf8.count))
            try bound("note", (note.bytes?.count ?? 0) <= Limits.noteBytes)
        }
        try bound("transaction", byteCount <= Limits.transactionBytes)
    }
}
