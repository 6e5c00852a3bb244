// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import MeshAdmin
import Testing

@testable import weft

@Suite("Bug reports")
struct BugReportTests {
    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
        OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
        -----END PRIVATE KEY-----
        """

    private func scrubbed(_ text: String) -> String {
        String(decoding: Redaction.scrub(Array(text.utf8)), as: UTF8.self)
    }

    @Test(
        "what looks like a secret goes, and nothing else",
        arguments: [
            ("a\nb\n", "a\nb\n"), ("", ""),
            ("used weft1-mzxw6ytboi4gc at once", "used weft1-REDACTED at once"),
            ("weft1- is how they begin", "weft1- is how they begin"),
            ("password=hunter2 user=me", "password=REDACTED user=me"),
            (#"{"Secret":"a b","x":1}"#, #"{"Secret":"REDACTED b","x":1}"#),
            ("Authorization: Bearer abc.def", "Authorization: REDACTED REDACTED"),
            ("the passwords of all", "the passwords of all"),
            ("before\n" + key + "\nafter", "before\nREDACTED\nafter"),
            (
                key.split(separator: "\n").dropFirst().joined(separator: "\n") + "\nafter",
                "REDACTED\nafter"
            ),
            ("before\n" + key.prefix(60), "before\nREDACTED"),
            (
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
            ),
        ])
    func redaction(text: String, rest: String) {
        #expect(scrubbed(text) == rest)
    }

    @Test("an archive that tar reads: each piece, what couldn't be had, and nothing twice")
    func archive() async throws {
        struct Fire: Error, CustomStringConvertible { var description: String { "it burns" } }
        let folder = "/tmp/weft-report-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: folder) } }
        let path = "\(folder)/report.tar.gz"

        var report = try BugReport(creating: path, folder: "r", bytesMaximum: 3_000)
        try await report.add("status.json") { Array("{\"token\":\"weft1-abc\"}".utf8) }
        try await report.add("clusters.json") { throw Fire() }
        try await report.add("maps/block.bin") { [UInt8](repeating: 65, count: 512) }
        try await report.add("log.txt", keeping: .end) {
            [UInt8](repeating: 66, count: 4_000) + Array("end".utf8)
        }
        try await report.add("late.txt") { [67] }
        let pieces = try report.finish(socket: "/s")
        #expect(throws: FileProblem.self) { _ = try BugReport(creating: path, folder: "r") }

        #expect(pieces.map(\.name).count == 5)
        #expect(pieces[1].problem == "it burns" && pieces[3].isCut)
        #expect(pieces[4].problem?.contains("3000 bytes") == true)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["tar", "-xzf", path, "-C", folder]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        func read(_ name: String) throws -> String {
            try String(contentsOf: URL(filePath: "\(folder)/r/\(name)"), encoding: .utf8)
        }
        #expect(try read("status.json") == "{\"token\":\"weft1-REDACTED\"}")
        #expect(try read("maps/block.bin") == String(repeating: "A", count: 512))
        #expect(try read("log.txt").hasSuffix("BBBend"))
        #expect(try read("log.txt").utf8.count == pieces[3].bytes)
        let names = try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/r").sorted()
        #expect(names == ["log.txt", "manifest.json", "maps", "maps/block.bin", "status.json"])
        #expect(try read("manifest.json").contains("\"problem\" : \"it burns\""))
    }

    @Test("a header is what POSIX says, with the sum of its bytes")
    func header() {
        let bytes = Tar.file("a/b", Array("hello".utf8), unixSeconds: 0o1234)
        #expect(bytes.count == 1024 && bytes.count % Tar.blockBytes == 0)
        func text(_ range: Range<Int>) -> String {
            String(decoding: bytes[range].prefix { $0 != 0 }, as: UTF8.self)
        }
        #expect(text(0..<100) == "a/b" && text(124..<136) == "00000000005")
        #expect(text(136..<148) == "00000001234" && text(257..<263) == "ustar")
        let sum = bytes[..<512].enumerated().reduce(0) {
            $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element))
        }
        #expect(Int(text(148..<155), radix: 8) == sum)
    }
}
