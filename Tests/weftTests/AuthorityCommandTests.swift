// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Testing

@testable import weft

@Suite("The authority's commands, with OpenSSL as a root that is kept elsewhere")
final class AuthorityCommandTests {
    private let folder: URL
    private var trust: String { "\(folder.path)/trust" }

    init() throws {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "weft-ca-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit {
        // A folder left behind fails no test.
        _ = try? FileManager.default.removeItem(at: folder)
    }

    private func weft(_ words: String...) throws {
        var command = try Weft.parseAsRoot(
            ["ca"] + words + ["--mesh", "weft.test", "--cluster", "east", "--trust", trust])
        try command.run()
    }

    /// Makes a root in a folder of its own, and has it sign what is requested there.
    private func sign(in machine: String) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", "weft=\(machine); exec 2>/dev/null; set -e; cd $weft\n"]
        process.arguments?[1] += """
            openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out root.key
            openssl req -x509 -new -sha256 -days 3650 -config authority.cnf -extensions root \\
                -key root.key -out root.crt
            openssl x509 -req -sha256 -days 30 -in intermediate.csr -CA root.crt -CAkey root.key \\
                -set_serial 0x$(openssl rand -hex 16) -extfile authority.cnf \\
                -extensions intermediate -out intermediate.crt
            """
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    private func install(from machine: String, _ more: String...) throws {
        var command = try Weft.parseAsRoot(
            [
                "ca", "install", "\(machine)/intermediate.crt", "--root", "\(machine)/root.crt",
                "--mesh", "weft.test", "--cluster", "east", "--trust", trust,
            ] + more)
        try command.run()
    }

    private func text(_ name: String) throws -> String {
        try String(contentsOf: URL(filePath: "\(trust)/\(name)"), encoding: .utf8)
    }

    @Test("make an authority, and put aside for a rotation what the next root signs")
    func next() throws {
        let (first, second) = ("\(folder.path)/first", "\(folder.path)/second")
        #expect(throws: (any Error).self, "there is nothing to follow yet") {
            try weft("request", "--next", "--out", second)
        }
        try weft("request", "--out", first)
        try sign(in: first)
        try install(from: first)
        let (roots, present) = (try text("ca.pem"), try text("authority/intermediate.pem"))

        try weft("request", "--next", "--out", second)
        try sign(in: second)
        #expect(throws: (any Error).self, "it isn't under the cluster's root") {
            try install(from: second)
        }
        try install(from: second, "--next")
        #expect(try text("ca.pem") == roots && text("authority/intermediate.pem") == present)
        let next = try text("authority/next/intermediate.pem")
        #expect(next != present)
        let path = "\(trust)/authority/next/intermediate.pem"
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        #expect(try text("authority/audit/audit.jsonl").isEmpty == false)
    }
}
