// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// The open file of a log, used by one thread at a time.
final class AuditWriter {
    private let files: AuditFiles
    private let limits: AuditLog.Limits
    private let copy: AuditLog.Copy?
    /// Locked while the log is open; -1 when it isn't.
    private var folder: Int32 = -1
    private var descriptor: Int32 = -1
    private var size = 0
    private(set) var head = AuditLog.Head(sequence: 0, hash: AuditLine.origin)

    init(files: AuditFiles, limits: AuditLog.Limits, copy: AuditLog.Copy?) {
        self.files = files
        self.limits = limits
        self.copy = copy
    }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        if folder >= 0 { Glibc.close(folder) }
        (descriptor, folder) = (-1, -1)
    }

    /// Finds the end of the chain, repairs it, and records what was wrong.
    func open(now: Date) throws(AuditFault) -> [AuditFinding] {
        try openFolder()
        let previous = try lastHashOfArchives()
        try openCurrent()
        let path = files.currentPath
        guard let bytes = try files.read(AuditFiles.current)
        else { throw .file(operation: "open", path: path, errno: ENOENT) }
        let scan = AuditScan(
            bytes, named: AuditFiles.current, previous: previous.hash, readsRecords: false)
        if scan.completeBytes < bytes.count {
            try call("repair", path) { ftruncate(descriptor, off_t(scan.completeBytes)) }
            try call("sync", path) { fsync(descriptor) }
        }
        size = scan.completeBytes
        let known = scan.lastRecord?.sequence ?? previous.sequence
        head = AuditLog.Head(
            sequence: known + UInt64(scan.linesBehindLastRecord),
            hash: scan.last ?? AuditLine.origin)
        let findings = scan.findings
        if !findings.isEmpty {
            // The first few: each is a record, and a damaged file may have a finding a line.
            try append(
                findings.prefix(8).map { AuditEntry(.log, .noted, by: .agent, reason: "\($0)") },
                now: now)
        }
        return findings
    }

    func append(_ entries: [AuditEntry], now: Date) throws(AuditFault) {
        if descriptor < 0 { _ = try open(now: now) }
        var (bytes, next): ([UInt8], AuditLog.Head) = ([], head)
        for entry in entries {
            let record = AuditRecord(entry, sequence: next.sequence + 1, time: now)
            let line = try AuditLine.encode(record, previous: next.hash)
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
            next = AuditLog.Head(sequence: record.sequence, hash: AuditLine.hash(line))
        }
        do throws(AuditFault) {
            if size > 0, size + bytes.count > limits.fileBytes { try beginFile() }
            try write(bytes)
            try call("sync", files.currentPath) { fsync(descriptor) }
        } catch {
            // What is on disk now is unknown: the next attempt looks.
            close()
            throw error
        }
        size += bytes.count
        head = next
        if !bytes.isEmpty { copy?(bytes) }
    }

    private func openFolder() throws(AuditFault) {
        let directory = files.directory
        do { try SecretFile.makeDirectory(directory) } catch { throw .unusable(error) }
        folder = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .file(operation: "open", path: directory, errno: errno) }
        guard flock(folder, LOCK_EX | LOCK_NB) == 0 else {
            close()
            throw .inUse(directory: directory)
        }
    }

    private func openCurrent() throws(AuditFault) {
        let path = files.currentPath
        descriptor = Glibc.open(
            path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
            ClosedFile.mode)
        guard descriptor >= 0 else { throw .file(operation: "open", path: path, errno: errno) }
        do { _ = try ClosedFile.check(descriptor, path: path) } catch { throw .unusable(error) }
        try call("sync", files.directory) { fsync(folder) }
    }

    /// The hash and sequence that the current file continues; the hash is nil when only a damaged
    /// file could tell.
    private func lastHashOfArchives() throws(AuditFault) -> (hash: String?, sequence: UInt64) {
        guard let newest = try files.archives().last else { return (AuditLine.origin, 0) }
        let bytes = try files.read(newest) ?? []
        let scan = AuditScan(bytes, named: newest, previous: nil, readsRecords: false)
        return (
            scan.last, (scan.lastRecord?.sequence ?? 0) + UInt64(scan.linesBehindLastRecord)
        )
    }

    /// The full file gets the name of its last record; a crash before the new one exists is no harm.
    private func beginFile() throws(AuditFault) {
        let path = files.currentPath
        let archive = "\(files.directory)/\(AuditFiles.archive(upTo: head.sequence))"
        try call("rename", path) { rename(path, archive) }
        Glibc.close(descriptor)
        descriptor = -1
        try openCurrent()
        size = 0
        for name in try files.archives().dropLast(limits.archives) {
            let old = "\(files.directory)/\(name)"
            try call("delete", old) { unlink(old) }
        }
    }

    private func write(_ bytes: [UInt8]) throws(AuditFault) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0
            else { throw .file(operation: "write", path: files.currentPath, errno: errno) }
            rest = rest.dropFirst(count)
        }
    }

    private func call(
        _ operation: String, _ path: String, _ body: () -> Int32
    ) throws(AuditFault) {
        while body() < 0 {
            guard errno == EINTR
            else { throw .file(operation: operation, path: path, errno: errno) }
        }
    }
}
