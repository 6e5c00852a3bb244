// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct BugReportTests {
    private static let file = LabFile(
        mesh: nil,
        clusters: ["alpha", "beta"].enumerated().map { index, name in
            LabFile.Cluster(
                name: name, id: index + 1, nodes: .count(1),
                endpoints: [
                    LabFile.Endpoint(name: "web", namespace: "demo", labels: ["app": "web"])
                ])
        }, services: [])

    /// Lines of every private key below a folder.
    private func keyLines(below folder: String) throws -> Set<String> {
        var lines: Set<String> = []
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            let content = FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data()
            let text = String(decoding: content, as: UTF8.self)
            var isKey = false
            for line in text.split(separator: "\n") {
                if line.hasPrefix("-----BEGIN"), line.hasSuffix("PRIVATE KEY-----") {
                    isKey = true
                } else if line.hasPrefix("-----END") {
                    isKey = false
                } else if isKey {
                    lines.insert(String(line))
                }
            }
        }
        return lines
    }

    @Test("a report has what there is to know, with root and without, and no secret")
    func report() async throws {
        try await withLab(Self.file) { lab in
            let node = try #require(lab.plan.clusters.first?.nodes.first)
            let agent = lab.agent(of: node)
            let token = try await agent.makeToken(
                TokenRequest(cluster: "gamma", id: 7))
            let word = String(token.target.prefix { $0 != "@" })
            var secrets = try keyLines(below: lab.plan.stateFolder)
            #expect(secrets.count >= 4)
            secrets.insert(String(word.dropFirst("weft1-".count)))
            // A log that tells too much.
            let key = secrets.sorted().joined(separator: "\n")
            let log = "/tmp/\(lab.plan.name).log"
            try LabFolder.write(
                "joining with \(word)\n-----BEGIN PRIVATE KEY-----\n\(key)\n"
                    + "-----END PRIVATE KEY-----\nthe end\n", to: log)
            defer { #expect(throws: Never.self) { try LabFolder.remove(log) } }

            for isRoot in [true, false] {
                let folder = "/tmp/\(lab.plan.name)-report"
                try LabFolder.make(folder, mode: 0o777)
                #expect(chmod(folder, 0o777) == 0)
                let output = "/tmp/\(lab.plan.name).said"
                let user =
                    isRoot
                    ? []
                    : ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
                let process = try LabProcess(
                    user + [
                        lab.executable, "bugreport", "--file", "\(folder)/r.tar.gz", "--log", log,
                        "--log", lab.plan.log(of: node), "--socket",
                        "\(lab.plan.runFolder(of: node))/weft.sock",
                    ], output: output, environment: [:])
                let ending = try await process.wait(atMost: .seconds(60))
                let said = try LabFolder.read(output)
                try LabFolder.remove(output)
                #expect(ending == .exited(0), "\(said)")
                let tar = try LabProcess(
                    ["/usr/bin/tar", "-xzf", "\(folder)/r.tar.gz", "-C", folder],
                    output: output, environment: [:])
                #expect(try await tar.wait(atMost: .seconds(20)) == .exited(0))
                try LabFolder.remove(output)
                try check(folder, secrets, isRoot: isRoot, said)
                try LabFolder.remove(folder)
            }
        }
    }

    private func check(
        _ folder: String, _ secrets: Set<String>, isRoot: Bool, _ said: String
    ) throws {
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder)
            .filter { !$0.hasSuffix(".gz") }
        func text(_ name: String) throws -> String {
            let file = try #require(files.first { $0.hasSuffix("/\(name)") }, "\(files)\n\(said)")
            return try LabFolder.read("\(folder)/\(file)")
        }
        for name in files where !LabFolder.isFolder("\(folder)/\(name)") {
            let content = try LabFolder.read("\(folder)/\(name)")
            let found = secrets.filter { content.contains($0) }
            #expect(found.isEmpty, "\(name) has \(found.count) secrets")
        }
        #expect(try text("status.json").contains("\"node\":\"alpha-1\""))
        #expect(try text("endpoints.json").contains("demo"))
        #expect(try text("metrics.prom").contains("weft_"))
        #expect(try text("configuration.json").contains("paths.trust"))
        #expect(try text("machine.txt").contains("Linux version"))
        #expect(try text("why/beta.json").contains("verdict"))
        #expect(try text("0-\(log(folder)).log").hasSuffix("REDACTED\nthe end\n"))
        let manifest = try text("manifest.json")
        #expect(manifest.contains("\"user\" : \(isRoot ? 0 : 65534)"))
        let maps = files.count { $0.hasSuffix(".jsonl") && $0.contains("/maps/") }
        #expect(isRoot ? maps > 15 : maps == 0, "\(said)")
    }

    /// The lab's name, by the report's folder.
    private func log(_ folder: String) -> String {
        String(folder.dropFirst("/tmp/".count).dropLast("-report".count))
    }
}
