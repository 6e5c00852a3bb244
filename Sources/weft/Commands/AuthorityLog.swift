// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import MeshTrust

extension AuthorityCommand {
    struct Log: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "log",
            abstract: "What the authority decided, and whether its log is whole.",
            discussion: """
                Reads the files themselves, so it needs the rights of the agent's user and no agent. \
                Each record names the SHA-256 of the one before; where that doesn't hold, the log was \
                changed: the exit code is 1 then. With -o json, one object a line.

                  weft ca log --last 20
                  weft ca log --follow -o json
                """)

        /// Between two looks, following.
        private static let interval = Duration.milliseconds(500)

        @Flag(name: .shortAndLong, help: "Go on with what is decided from now on.")
        var follow = false
        @Option(
            help: ArgumentHelp("Nothing older: 90s, 15m, 12h, 30d.", valueName: "duration"),
            transform: seconds)
        var since: Double?
        @Option(
            help: ArgumentHelp(
                "At most so many, the newest; at most \(AuditQuery.lastMaximum).",
                valueName: "count"))
        var last = 1000
        @Option(
            help: ArgumentHelp(
                "The agent's folder of trust; the log is in 'authority/audit' below it.",
                valueName: "folder"))
        var trust = "/etc/weft/trust"
        @OptionGroup var output: OutputOptions

        private var folder: String { "\(trust)/authority/audit" }

        func run() async throws {
            guard access(folder, F_OK) == 0 else {
                throw Complaint(
                    "there is no audit log in \(folder): \(String(cString: strerror(errno)))",
                    hint: "it is on the cluster's home; --trust names the agent's folder there",
                    code: errno == ENOENT ? .unknownName : .forbidden)
            }
            let oldest = since.map { Date() - $0 }
            let findings = try AuditTrail.verify(in: folder).findings
            var shown = try show(AuditQuery(last: last), after: 0) { record in
                oldest.map { record.time >= $0 } ?? true
            }
            for finding in findings { Console.error("weft: \(finding)\n") }
            guard follow else {
                if !findings.isEmpty { throw ExitCode.failure }
                return
            }
            while true {
                try await Task.sleep(for: Self.interval)
                shown = try show(AuditQuery(last: AuditQuery.lastMaximum), after: shown) { _ in true
                }
            }
        }

        /// - Returns: the sequence of the last record.
        private func show(
            _ query: AuditQuery, after sequence: UInt64, where isWanted: (AuditRecord) -> Bool
        ) throws -> UInt64 {
            let (records, unreadable) = try AuditTrail.read(query, in: folder)
            if unreadable > 0, sequence == 0 {
                Console.error("weft: \(unreadable) lines are no records\n")
            }
            for record in records where record.sequence > sequence && isWanted(record) {
                switch output.output {
                case .table: Console.out(Self.line(record))
                case .json: Console.out(try Self.json(record))
                }
            }
            return records.last?.sequence ?? sequence
        }

        private static func line(_ record: AuditRecord) -> String {
            let words = [
                record.time.ISO8601Format(), "\(record.sequence)", record.action.rawValue,
                record.decision.rawValue, record.subject ?? "-", "by \(record.actor)",
                record.serial.map { "serial \($0)" },
                record.notAfter.map { "until \($0.ISO8601Format())" }, record.reason,
            ]
            return words.compactMap(\.self).joined(separator: " ") + "\n"
        }

        private static func json(_ record: AuditRecord) throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            return String(decoding: try encoder.encode(record), as: UTF8.self) + "\n"
        }

        private static func seconds(_ text: String) throws -> Double {
            let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
            guard let unit = text.last.flatMap({ units[$0] }), let value = Double(text.dropLast()),
                value >= 0, value.isFinite
            else { throw ValidationError("'\(text)' must be a number and s, m, h or d.") }
            return value * unit
        }
    }
}
