// SPDX-License-Identifier: Apache-2.0

import Crypto
public import FoundationEssentials
import Glibc
import Synchronization

/// An append-only log of every decision about trust, one JSON object a line, each with the SHA-256 of
/// the line before it. Mode 0600, in a directory of mode 0700.
///
/// Whoever can write the directory can still cut whole lines off the end, or write the log anew: keep
/// ``head`` elsewhere to notice.
public final class AuditLog: Sendable {
    public static let lineBytesMaximum = AuditLine.bytesMaximum
    /// A file is closed before it gets larger than its limit, which is far less.
    public static let fileBytesMaximum = 64 * 1024 * 1024

    public struct Limits: Hashable, Sendable {
        /// Above it a new file is begun.
        public var fileBytes: Int
        /// How many full files are kept; older ones are deleted.
        public var archives: Int

        public init(fileBytes: Int = 16 * 1024 * 1024, archives: Int = 16) {
            self.fileBytes = min(fileBytes, AuditLog.fileBytesMaximum / 2)
            self.archives = archives
        }
    }

    /// The last record: its sequence, 0 before the first, and its line's SHA-256 in hexadecimal.
    public struct Head: Hashable, Sendable {
        public let sequence: UInt64
        public let hash: String
    }

    private let state: Mutex<AuditWriter>
    /// What was wrong with the log when it was opened; it is recorded, too. Tell the operator.
    public let findings: [AuditFinding]

    /// Gets whole lines, each with its newline.
    public typealias Copy = @Sendable (_ lines: [UInt8]) -> Void

    /// Opens the log or begins one, and cuts off a record that a crash left incomplete.
    ///
    /// - Parameter copy: gets every record once it is on disk, in the log's order and as it stands there.
    public init(
        directory: String, limits: Limits = Limits(), now: Date = Date(), copy: Copy? = nil
    ) throws(AuditFault) {
        let writer = AuditWriter(
            files: AuditFiles(directory: directory), limits: limits, copy: copy)
        do throws(AuditFault) { findings = try writer.open(now: now) } catch {
            writer.close()
            throw error
        }
        state = Mutex(writer)
    }

    deinit { state.withLock { $0.close() } }

    public var head: Head { state.withLock { $0.head } }

    /// Records the entries in this order and returns when they are on disk.
    ///
    /// - Throws: ``AuditFault``: don't release what the entries are about. They may stand in the log
    ///   nevertheless.
    /// - Complexity: one `write(2)` and one `fsync(2)`, which blocks the thread.
    public func append(_ entries: AuditEntry..., at now: Date = Date()) throws(AuditFault) {
        try append(entries, at: now)
    }

    public func append(_ entries: [AuditEntry], at now: Date = Date()) throws(AuditFault) {
        try state.withLock { (writer) throws(AuditFault) in
            try writer.append(entries, now: now)
        }
    }
}
