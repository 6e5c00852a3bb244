// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What is wrong with a log that exists. The log goes on all the same: refusing to record would lose
/// more.
public enum AuditFinding: Error, Hashable, Sendable {
    /// A crash left the last line incomplete: it was cut off. Nothing rested on it, since what a
    /// record is about waits for it.
    case tornLine(file: String, bytes: Int)
    /// The line doesn't follow the one before it: a line was changed, removed or inserted. Lines
    /// count from 1.
    case brokenChain(file: String, line: Int)
    /// The line follows, but is no record: it was written by another version, or forged.
    case unreadableLine(file: String, line: Int)
}

extension AuditFinding: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tornLine(let file, let bytes):
            "\(file) ended in \(bytes) bytes of an incomplete record, which were cut off"
        case .brokenChain(let file, let line):
            "\(file) line \(line) doesn't follow the line before it: the log was changed there"
        case .unreadableLine(let file, let line):
            "\(file) line \(line) is no audit record"
        }
    }
}

/// Why nothing was recorded. Don't release what the record is about.
public enum AuditFault: Error, Hashable, Sendable {
    /// The files are exposed to others, belong to somebody else or can't be read.
    case unusable(TrustError)
    /// A system call failed. The next attempt opens the log anew.
    case file(operation: String, path: String, errno: Int32)
    /// Another process writes the log.
    case inUse(directory: String)
    /// A record above ``AuditLog/lineBytesMaximum``.
    case unrecordable
}

extension AuditFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unusable(let error): "the audit log is unusable: \(error)"
        case .file(let operation, let path, let code):
            "cannot \(operation) audit log \(path): \(String(cString: strerror(code)))"
        case .inUse(let directory):
            "another process writes the audit log in \(directory): ask the running agent instead"
        case .unrecordable:
            "an audit record is longer than \(AuditLog.lineBytesMaximum) bytes"
        }
    }
}
