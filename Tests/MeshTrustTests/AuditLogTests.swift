// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Synchronization
import Testing
import X509

@testable import MeshTrust

@Suite("The audit log")
struct AuditLogTests {
    let folder: TemporaryDirectory
    var path: String { "\(folder.path)/audit" }
    var file: String { "\(path)/audit.jsonl" }

    init() throws { folder = try TemporaryDirectory() }

    private func note(_ number: Int) -> AuditEntry {
        AuditEntry(
            .rotate, .noted, by: .agent, subject: .cluster(east), reason: "step \(number)")
    }

    private func lines() throws -> [String] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    @Test("each record is a line of JSON that names the line before it")
    func chain() throws {
        let issuer = try Issuer(east)
        let log = try AuditLog(directory: path, now: noon)
        #expect(log.findings.isEmpty)
        try log.append(
            AuditEntry(
                .issue, .granted, by: .node(SPIFFEID(node: "node-1", in: issuer.domain)),
                subject: .identity(SPIFFEID(node: "node-1", in: issuer.domain)),
                certificate: issuer.leaf),
            AuditEntry(
                .issue, .refused, by: .stranger(Address("10.1.2.3")!),
                reason: "\(TrustError.invalidRequest("its signature doesn't match its key"))"),
            at: noon)
        try log.append(note(3), at: noon + 1)
        let lines = try lines()
        #expect(lines.count == 3)
        #expect(
            lines[1]
                == #"{"previous":"\#(AuditLine.hash(lines[0].utf8))","action":"issue","actor":"stranger:10.1.2.3","#
                + #""decision":"refused","reason":"certificate request refused: its signature doesn't match its key","#
                + #""sequence":2,"time":"2026-07-01T00:00:00Z"}"#)
        let (code, sum) = try run(["sh", "-c", "sed -n 2p \(file) | tr -d '\\n' | sha256sum"])
        #expect(code == 0)
        #expect(lines[2].hasPrefix(#"{"previous":"\#(sum.prefix(64))""#), "as sha256sum has it")
        let record = try AuditTrail.read(AuditQuery(), in: path).records[0]
        #expect(record.serial == hexadecimal(issuer.leaf.serialNumber.bytes))
        #expect(record.keyIdentifier == hexadecimal(issuer.leaf.ownKeyIdentifier!))
        #expect(record.notAfter == noon + 86_400)
        #expect(record.subject == "spiffe://east.weft.test/node/node-1")
        let verified = try AuditTrail.verify(in: path)
        #expect(verified.findings.isEmpty)
        #expect(verified.head == log.head)
        #expect(log.head.sequence == 3)
        #expect(try TemporaryDirectory.mode(of: file) == 0o600)
        #expect(try TemporaryDirectory.mode(of: path) == 0o700)
    }

    @Test("a copy has every line as it stands in the log, what was found wrong with it included")
    func copy() throws {
        let copied = Mutex<[UInt8]>([])
        let copy: AuditLog.Copy = { lines in copied.withLock { $0 += lines } }
        let log = try AuditLog(directory: path, now: noon, copy: copy)
        try log.append(note(1), note(2), at: noon)
        try log.append([], at: noon)
        try log.append(note(3), at: noon)
        #expect(copied.withLock { $0 } == Array(try Data(contentsOf: URL(filePath: file))))
        // A line that isn't on disk is no record.
        let former = copied.withLock { $0.count }
        #expect(throws: AuditFault.self) {
            try AuditLog(directory: path, now: noon, copy: copy).append(note(4), at: noon)
        }
        #expect(copied.withLock { $0.count } == former)
    }

    @Test("the log goes on where it ended")
    func reopen() throws {
        for round in 0..<3 {
            let log = try AuditLog(directory: path, now: noon)
            #expect(log.head.sequence == UInt64(round))
            try log.append(note(round), at: noon)
        }
        let (findings, head) = try AuditTrail.verify(in: path)
        #expect(findings.isEmpty)
        #expect(head.sequence == 3)
    }

    @Test(
        "a record that a crash left incomplete is cut off, and that is recorded",
        arguments: [1, 40, 150])
    func torn(_ missing: Int) throws {
        try AuditLog(directory: path, now: noon).append(note(1), note(2), at: noon)
        let whole = try Data(contentsOf: URL(fileURLWithPath: file))
        try whole.dropLast(missing).write(to: URL(fileURLWithPath: file))
        let log = try AuditLog(directory: path, now: noon)
        let second = whole.split(separator: UInt8(ascii: "\n"))[1].count + 1
        #expect(
            log.findings == [.tornLine(file: "audit.jsonl", bytes: second - missing)])
        try log.append(note(3), at: noon)
        let records = try AuditTrail.read(AuditQuery(), in: path).records
        #expect(records.map(\.sequence) == [1, 2, 3])
        #expect(records.map(\.action) == [.rotate, .log, .rotate])
        #expect(try AuditTrail.verify(in: path).findings.isEmpty)
    }

    @Test("zeros that a crash left behind are cut off as well")
    func zeros() throws {
        try AuditLog(directory: path, now: noon).append(note(1), at: noon)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes.append(contentsOf: [UInt8](repeating: 0, count: 300))
        try bytes.write(to: URL(fileURLWithPath: file))
        let log = try AuditLog(directory: path, now: noon)
        #expect(log.findings == [.tornLine(file: "audit.jsonl", bytes: 300)])
        #expect(try AuditTrail.verify(in: path).findings.isEmpty)
    }

    @Test("a changed, removed, swapped or inserted line is found, with its number")
    func tampering() throws {
        try AuditLog(directory: path, now: noon).append((1...6).map(note), at: noon)
        let lines = try lines()
        func findings(_ changed: [String]) throws -> [AuditFinding] {
            try (changed.joined(separator: "\n") + "\n")
                .write(toFile: file, atomically: false, encoding: .utf8)
            return try AuditTrail.verify(in: path).findings
        }
        func broken(_ line: Int) -> AuditFinding { .brokenChain(file: "audit.jsonl", line: line) }
        #expect(try findings(lines) == [])
        var changed = lines
        changed[2] = lines[2].replacing("step 3", with: "step 4")
        #expect(try findings(changed) == [broken(4)])
        changed = lines
        changed.remove(at: 2)
        #expect(try findings(changed) == [broken(3)])
        #expect(try findings(Array(lines.dropFirst())) == [broken(1)])
        changed = lines
        changed.swapAt(1, 2)
        #expect(try findings(changed) == [broken(2), broken(3), broken(4)])
        changed = lines
        changed.insert("nonsense", at: 3)
        #expect(
            try findings(changed) == [
                .unreadableLine(file: "audit.jsonl", line: 4), broken(5),
            ])
        // The writer goes on, says so, and its own lines hold together.
        let log = try AuditLog(directory: path, now: noon)
        #expect(log.findings.contains(broken(5)))
        try log.append(note(7), at: noon)
        #expect(try AuditTrail.verify(in: path).findings.count == 2)
        let (records, unreadable) = try AuditTrail.read(AuditQuery(), in: path)
        #expect(unreadable == 1)
        #expect(records.last?.reason == "step 7")
        #expect(records.filter { $0.action == .log }.count == 2)
    }

    @Test("a full file is kept, the chain continues in the next, and the oldest go")
    func files() throws {
        let limits = AuditLog.Limits(fileBytes: 2_000, archives: 3)
        let log = try AuditLog(directory: path, limits: limits, now: noon)
        for number in 1...60 { try log.append(note(number), at: noon) }
        let archives = try AuditFiles(directory: path).archives()
        #expect(archives.count == 3)
        for name in archives {
            #expect(try TemporaryDirectory.mode(of: "\(path)/\(name)") == 0o600)
        }
        let (findings, head) = try AuditTrail.verify(in: path)
        #expect(findings.isEmpty)
        #expect(head == log.head)
        #expect(head.sequence == 60)
        let last = try AuditTrail.read(AuditQuery(last: 20), in: path).records
        #expect(last.map(\.sequence) == Array(41...60))
        // A file lost in the middle is seen.
        try FileManager.default.removeItem(atPath: "\(path)/\(archives[1])")
        #expect(
            try AuditTrail.verify(in: path).findings == [.brokenChain(file: archives[2], line: 1)])
    }

    @Test("a crash between two files loses nothing", arguments: [true, false])
    func betweenFiles(hasNewFile: Bool) throws {
        try AuditLog(directory: path, now: noon).append(note(1), note(2), at: noon)
        try FileManager.default.moveItem(
            atPath: file, toPath: "\(path)/\(AuditFiles.archive(upTo: 2))")
        if hasNewFile {
            #expect(
                FileManager.default.createFile(
                    atPath: file, contents: nil, attributes: [.posixPermissions: 0o600]))
        }
        let log = try AuditLog(directory: path, now: noon)
        #expect(log.findings.isEmpty)
        #expect(log.head.sequence == 2)
        try log.append(note(3), at: noon)
        #expect(try AuditTrail.verify(in: path).findings.isEmpty)
        #expect(try AuditTrail.read(AuditQuery(), in: path).records.map(\.sequence) == [1, 2, 3])
    }

    @Test("records are found by action, subject and number")
    func query() throws {
        let domain = try TrustDomain(cluster: east, mesh: mesh)
        let log = try AuditLog(directory: path, now: noon)
        let a = SPIFFEID(node: "a", in: domain)
        try log.append(
            AuditEntry(.issue, .granted, by: .agent, subject: .identity(a)),
            AuditEntry(
                .issue, .granted, by: .agent, subject: .identity(SPIFFEID(node: "ab", in: domain))),
            AuditEntry(.join, .granted, by: .user(0), subject: .cluster(west)),
            AuditEntry(.deny, .noted, by: .cluster(east), subject: .cluster(east)),
            AuditEntry(.log, .noted, by: .agent), at: noon)
        func found(_ query: AuditQuery) throws -> [UInt64] {
            try AuditTrail.read(query, in: path).records.map(\.sequence)
        }
        #expect(try found(AuditQuery()) == [1, 2, 3, 4, 5])
        #expect(try found(AuditQuery(last: 2)) == [4, 5])
        #expect(try found(AuditQuery(action: .issue)) == [1, 2])
        #expect(try found(AuditQuery(last: 1, action: .issue)) == [2])
        #expect(try found(AuditQuery(subject: .identity(a))) == [1])
        #expect(try found(AuditQuery(subject: .identity(SPIFFEID(authorityOf: domain)))) == [1, 2])
        #expect(try found(AuditQuery(subject: .cluster(east))) == [1, 2, 4])
        #expect(try found(AuditQuery(action: .join, subject: .cluster(west))) == [3])
        #expect(AuditQuery(last: 1_000_000).last == AuditQuery.lastMaximum)
    }

    @Test("one writer at a time")
    func lock() throws {
        let log = try AuditLog(directory: path, now: noon)
        #expect(throws: AuditFault.inUse(directory: path)) {
            try AuditLog(directory: path, now: noon)
        }
        try log.append(note(1), at: noon)
    }

    @Test("a log that others can read isn't used")
    func modes() throws {
        try AuditLog(directory: path, now: noon).append(note(1), at: noon)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        #expect(
            throws: AuditFault.unusable(.exposed(path: file, mode: 0o644, required: 0o600))
        ) { try AuditLog(directory: path, now: noon) }
        #expect(throws: AuditFault.self) { try AuditTrail.read(AuditQuery(), in: path) }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o750], ofItemAtPath: path)
        #expect(
            throws: AuditFault.unusable(.exposed(path: path, mode: 0o750, required: 0o700))
        ) { try AuditLog(directory: path, now: noon) }
    }

    @Test("a full disk fails the append, and the next one goes on behind what got through")
    func fullDisk() throws {
        let log = try AuditLog(directory: path, now: noon)
        try log.append(note(1), at: noon)
        let size = try Data(contentsOf: URL(fileURLWithPath: file)).count
        // With SIGXFSZ ignored, write(2) fails at the limit, which is the process's: tests run serially.
        var former = rlimit()
        #expect(getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &former) == 0)
        let action = signal(SIGXFSZ, SIG_IGN)
        var limit = former
        limit.rlim_cur = rlim_t(size + 100)
        #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
        do {
            defer {
                _ = setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &former)
                _ = signal(SIGXFSZ, action)
            }
            #expect(throws: AuditFault.file(operation: "write", path: file, errno: EFBIG)) {
                try log.append(note(2), at: noon)
            }
        }
        try log.append(note(3), at: noon)
        let records = try AuditTrail.read(AuditQuery(), in: path).records
        #expect(records.map(\.sequence) == [1, 2, 3])
        #expect(records.map(\.action) == [.rotate, .log, .rotate])
        #expect(try AuditTrail.verify(in: path).findings.isEmpty)
    }

    @Test("what strangers choose can't forge a line or a terminal's screen, nor grow a record")
    func hostileText() throws {
        let log = try AuditLog(directory: path, now: noon)
        let name = "a\n{\"previous\"\u{1b}[2J\u{0}" + String(repeating: "ü", count: 5_000)
        try log.append(
            AuditEntry(
                .issue, .refused, by: .agent,
                reason: "\(TrustError.unsuitable(certificate: name, reason: "is odd"))"),
            at: noon)
        #expect(try lines().count == 1)
        let reason = try #require(try AuditTrail.read(AuditQuery(), in: path).records[0].reason)
        #expect(reason.utf8.count <= AuditReason.bytesMaximum)
        #expect(reason.hasPrefix("certificate of a?{\"previous\"?[2J?ü"))
        #expect(try AuditTrail.verify(in: path).findings.isEmpty)
    }
}
