// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The files of a log: `audit.jsonl`, which grows, and older ones named after their last record.
struct AuditFiles {
    static let current = "audit.jsonl"
    private static let digits = 20
    let directory: String

    var currentPath: String { "\(directory)/\(Self.current)" }

    static func archive(upTo sequence: UInt64) -> String {
        let text = String(sequence)
        return "audit-\(String(repeating: "0", count: digits - text.count))\(text).jsonl"
    }

    /// The older files, oldest first.
    func archives() throws(AuditFault) -> [String] {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: directory) } catch {
            throw .unusable(.unusableFile(path: directory, reason: "it can't be listed"))
        }
        let length = Self.archive(upTo: 0).utf8.count
        return names.filter {
            $0.utf8.count == length && $0.hasPrefix("audit-") && $0.hasSuffix(".jsonl")
        }.sorted()
    }

    /// Every file that exists, oldest first.
    func all() throws(AuditFault) -> [String] { try archives() + [Self.current] }

    func read(_ name: String) throws(AuditFault) -> [UInt8]? {
        do {
            return try ClosedFile.read(
                "\(directory)/\(name)", bytesMaximum: AuditLog.fileBytesMaximum)
        } catch {
            throw .unusable(error)
        }
    }
}

/// What following the chain through one file finds.
struct AuditScan {
    private(set) var findings: [AuditFinding] = []
    /// Of the last complete line, or what was given for the one before the file.
    private(set) var last: String?
    private(set) var lines = 0
    /// Up to and with the last newline.
    private(set) var completeBytes = 0
    private(set) var lastRecord: AuditRecord?
    /// Lines behind ``lastRecord``, which no record could be read from.
    private(set) var linesBehindLastRecord = 0

    /// - Parameters:
    ///   - previous: the hash of the line before the file; nil when that file is gone.
    ///   - readsRecords: whether each line must be a record, too; else only the last is read.
    init(_ bytes: [UInt8], named file: String, previous: String?, readsRecords: Bool) {
        last = previous
        var rest = bytes[...]
        var read: [ArraySlice<UInt8>] = []
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = rest[..<end]
            rest = rest[(end + 1)...]
            lines += 1
            completeBytes = end + 1
            if let given = AuditLine.previous(of: line) {
                if let last, given != last {
                    findings.append(.brokenChain(file: file, line: lines))
                }
            } else {
                findings.append(.unreadableLine(file: file, line: lines))
            }
            if readsRecords {
                if let record = AuditLine.record(of: line) {
                    (lastRecord, linesBehindLastRecord) = (record, 0)
                } else {
                    linesBehindLastRecord += 1
                    if AuditLine.previous(of: line) != nil {
                        findings.append(.unreadableLine(file: file, line: lines))
                    }
                }
            } else {
                read.append(line)
            }
            last = AuditLine.hash(line)
        }
        for line in read.reversed() {
            lastRecord = AuditLine.record(of: line)
            if lastRecord != nil { break }
            linesBehindLastRecord += 1
        }
        if completeBytes < bytes.count {
            findings.append(.tornLine(file: file, bytes: bytes.count - completeBytes))
        }
    }
}
