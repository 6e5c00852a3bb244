// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Which records to read.
public struct AuditQuery: Hashable, Sendable {
    public static let lastMaximum = 10_000

    /// 1...10,000 newest records that fit.
    public var last: Int
    public var action: AuditAction?
    public var subject: Subject?

    public enum Subject: Hashable, Sendable {
        /// The cluster itself and every identity of its trust domain.
        case cluster(ClusterName)
        /// That identity and those below it: `spiffe://east.mesh` covers `spiffe://east.mesh/node/a`.
        case identity(SPIFFEID)
    }

    public init(last: Int = 100, action: AuditAction? = nil, subject: Subject? = nil) {
        self.last = min(max(last, 1), Self.lastMaximum)
        self.action = action
        self.subject = subject
    }

    func matches(_ record: AuditRecord) -> Bool {
        if let action, record.action != action { return false }
        guard let subject else { return true }
        guard let text = record.subject else { return false }
        switch subject {
        case .cluster(let name):
            return text == AuditSubject.cluster(name).text
                || SPIFFEID(text)?.trustDomain.hasPrefix("\(name).") == true
        case .identity(let id): return text == id.uri || text.hasPrefix("\(id.uri)/")
        }
    }
}

/// Reads a log, also while it is being written.
public enum AuditTrail {
    /// The newest records that fit, oldest first, and how many lines couldn't be read on the way.
    ///
    /// - Complexity: reads files from the newest back until enough records fit; one in memory at a time.
    public static func read(
        _ query: AuditQuery, in directory: String
    ) throws(AuditFault) -> (records: [AuditRecord], unreadable: Int) {
        let files = AuditFiles(directory: directory)
        var (records, unreadable): ([AuditRecord], Int) = ([], 0)
        for name in try files.all().reversed() {
            guard let bytes = try files.read(name) else { continue }
            // Behind the last newline somebody may be writing.
            let lines = bytes.split(
                separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false
            ).dropLast()
            for line in lines.reversed() {
                guard let record = AuditLine.record(of: line) else {
                    unreadable += 1
                    continue
                }
                if query.matches(record) { records.append(record) }
                if records.count == query.last { return (records.reversed(), unreadable) }
            }
        }
        return (records.reversed(), unreadable)
    }

    /// Follows the whole chain. An incomplete last line is no finding: somebody may be writing it.
    ///
    /// Nothing shows whether lines are missing before the oldest file or behind the last line: compare
    /// the head with one kept elsewhere.
    ///
    /// - Returns: at most 1,000 findings, and the last record's sequence and hash.
    public static func verify(
        in directory: String
    ) throws(AuditFault) -> (findings: [AuditFinding], head: AuditLog.Head) {
        let files = AuditFiles(directory: directory)
        let archives = try files.archives()
        var findings: [AuditFinding] = []
        // What the oldest file continues may have been deleted as too old.
        var last = archives.isEmpty ? AuditLine.origin : nil
        var sequence: UInt64 = 0
        for name in archives + [AuditFiles.current] {
            guard let bytes = try files.read(name) else { continue }
            let scan = AuditScan(bytes, named: name, previous: last, readsRecords: true)
            findings += scan.findings.filter {
                if case .tornLine = $0 { name != AuditFiles.current } else { true }
            }
            last = scan.last
            sequence =
                (scan.lastRecord?.sequence ?? sequence) + UInt64(scan.linesBehindLastRecord)
        }
        return (
            Array(findings.prefix(1000)),
            AuditLog.Head(sequence: sequence, hash: last ?? AuditLine.origin)
        )
    }
}
