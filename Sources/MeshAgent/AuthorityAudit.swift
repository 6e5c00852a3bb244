// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Logging
import MeshTrust
import Synchronization

/// The audit log beside an authority's keys. Opened when it is first needed: a command that issues
/// something may hold it for a moment while the agent starts.
final class AuthorityAudit: Sendable {
    /// A node that is refused the same way again and again is recorded once in so long.
    private static let refusalInterval: TimeInterval = 60

    static func folder(of authority: String) -> String { authority + "/audit" }

    private let directory: String
    private let copy: AuditLog.Copy?
    private let log: Logger
    private let opened = Mutex<AuditLog?>(nil)
    /// By what it was about; of the own cluster's nodes alone, which are few.
    private let refusals = Mutex<[String: Date]>([:])

    /// - Parameter copy: see ``AuditLog``.
    init(authority: String, copy: AuditLog.Copy? = nil, log: Logger) {
        directory = Self.folder(of: authority)
        self.copy = copy
        self.log = log
    }

    /// The last record; nil while another process has the log, or nothing was recorded yet.
    var head: AuditLog.Head? {
        opened.withLock { $0?.head }.flatMap { $0.sequence > 0 ? $0 : nil }
    }

    /// Records the entries and returns when they are on disk.
    func append(_ entries: [AuditEntry]) throws(AuditFault) {
        try opened.withLock { trail throws(AuditFault) in
            let open: AuditLog
            if let trail {
                open = trail
            } else {
                open = try AuditLog(directory: directory, copy: copy)
                for finding in open.findings {
                    log.error("The audit log is damaged", metadata: ["finding": "\(finding)"])
                }
                trail = open
            }
            try open.append(entries)
        }
    }

    /// For a log whose folder goes with its pod: what runs the pod keeps its standard output, which has
    /// nothing else.
    static let standardOutput: AuditLog.Copy = { lines in
        var rest = lines[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            // Nobody reads it: the log on disk is what counts.
            guard count > 0 || errno == EINTR else { return }
            rest = rest.dropFirst(max(count, 0))
        }
    }

    /// A refusal of something a node may ask as often as it likes. One that can't be recorded is still
    /// a refusal.
    func refuse(_ entry: AuditEntry, of node: String, at now: Date) {
        let isNew = refusals.withLock { refusals in
            refusals = refusals.filter { now.timeIntervalSince($0.value) < Self.refusalInterval }
            guard refusals[node] == nil else { return false }
            refusals[node] = now
            return true
        }
        guard isNew else { return }
        do throws(AuditFault) {
            try append([entry])
        } catch {
            log.error("A refusal can't be recorded", metadata: ["error": "\(error)"])
        }
    }
}
