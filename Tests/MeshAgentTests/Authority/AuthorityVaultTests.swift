// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Foundation
import MeshKubernetes
import MeshModel
import MeshTrust
import Testing

@testable import MeshAgent

@Suite("An authority's files in a Secret")
struct AuthorityVaultTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A replica with folders of its own.
    private func replica(
        _ name: String, _ client: KubernetesClient
    ) throws -> (vault: AuthorityVault, authority: String) {
        let configuration = try AttestationFixture.configuration(
            of: "n1", in: folder, named: name)
        let vault = AuthorityVault(configuration, namespace: "weft-system") {
            request throws(KubernetesError) in try await client.answer(to: request)
        }
        return (vault, AuthorityService.folder(of: configuration))
    }

    private func put(_ text: String, _ path: String) throws {
        let url = URL(filePath: path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        try DurableFile(path: path).write(text)
    }

    private func files(in folder: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
    }

    private static func state() -> DoubleState {
        var state = DoubleState()
        state.admit(
            DoubleUser(
                "system:serviceaccount:weft-system:weft-authority",
                rules: [.init(["get", "create", "update"], ["secrets"])]),
            token: AttestationFixture.authorityToken)
        return state
    }

    @Test("are there for the next replica, all of them and nothing else, but no audit log")
    func handedOver() async throws {
        try await withServer(Self.state()) { server, client in
            let (first, one) = try replica("one", client)
            try await first.load()
            #expect(await first.isEmpty)
            let made = try CertificateAuthority.create(
                cluster: .init(rawValue: "east")!, mesh: "weft.test", in: one)
            try put("next", "\(one)/next/root.pem")
            try put("private to this replica", "\(one)/audit/000")
            try put("half", "\(one)/roster.json.new")
            try await first.settle()
            #expect(server.counters.requests == ["get": 1, "create": 1])
            try await first.settle()
            #expect(server.counters.requests == ["get": 1, "create": 1], "nothing has changed")
            try put("roster", "\(one)/roster.json")
            try await first.settle()
            #expect(server.counters.requests["update"] == 1)

            let (second, other) = try replica("other", client)
            try put("former", "\(other)/rotation")
            try put("its own", "\(other)/audit/000")
            try await second.load()
            #expect(
                try files(in: other)
                    == [
                        "audit", "audit/000", "clock", "intermediate.pem", "next", "next/root.pem",
                        "root.pem", "roster.json",
                    ].filter {
                        $0 != "clock" || FileManager.default.fileExists(atPath: "\(one)/clock")
                    })
            let loaded = try CertificateAuthority.load(
                cluster: .init(rawValue: "east")!, mesh: "weft.test", from: other)
            #expect(loaded.chain == made.chain)
            try await second.settle()
            #expect(server.counters.requests["update"] == 1, "what was loaded isn't written")
        }
    }

    @Test("are one replica's to write: whoever was overtaken hears of it and changes nothing")
    func taken() async throws {
        try await withServer(Self.state()) { server, client in
            let (first, one) = try replica("one", client)
            let (second, other) = try replica("other", client)
            try await first.load()
            try await second.load()
            try put("1", "\(one)/roster.json")
            try put("2", "\(other)/roster.json")
            try await second.settle()
            await #expect(throws: VaultFault.self) { try await first.settle() }
            let third = try replica("third", client)
            try await third.vault.load()
            #expect(try DurableFile(path: "\(third.authority)/roster.json").read() == "2")
            try put("3", "\(one)/roster.json")
            await #expect(throws: VaultFault.self) { try await first.settle() }
            _ = server
        }
    }

    @Test(
        "may be there although the answer was lost, and are told only once they are",
        arguments: [false, true])
    func lostAnswers(exists: Bool) async throws {
        try await withServer(Self.state()) { server, client in
            let (vault, folder) = try replica("one", client)
            try await vault.load()
            if exists {
                try put("0", "\(folder)/roster.json")
                try await vault.settle()
            }
            try put("1", "\(folder)/roster.json")
            server.inject(.cut(afterBytes: 10), into: .writes)
            await #expect(throws: VaultFault.self) { try await vault.settle() }
            #expect(server.state.count(.secrets) == 1, "it was written")
            try await vault.settle()
            try put("2", "\(folder)/roster.json")
            try await vault.settle()
            server.inject(.fail, into: .writes)
            try put("3", "\(folder)/roster.json")
            await #expect(throws: VaultFault.self) { try await vault.settle() }
            let next = try replica("next", client)
            try await next.vault.load()
            #expect(try DurableFile(path: "\(next.authority)/roster.json").read() == "2")
        }
    }

    @Test("are written once for all who wait for it")
    func together() async throws {
        try await withServer(Self.state()) { server, client in
            let (vault, folder) = try replica("one", client)
            try await vault.load()
            try put("1", "\(folder)/roster.json")
            try await withThrowingTaskGroup { group in
                for _ in 0..<20 { group.addTask { try await vault.settle() } }
                try await group.waitForAll()
            }
            #expect(server.counters.requests == ["get": 1, "create": 1])
        }
    }

    @Test("that aren't ours, or are too many, are refused")
    func strange() throws {
        for data in [#"{"../x": "MQ=="}"#, #"{"a..b..c": "MQ=="}"#, #"{"a": "?"}"#, #"{".a": ""}"#]
        {
            #expect(throws: KubernetesError.self, "\(data)") {
                try SecretFiles(
                    object: Array(
                        #"{"metadata": {"resourceVersion": "1"}, "data": \#(data)}"#.utf8))
            }
        }
        #expect(throws: KubernetesError.self) { try SecretFiles(object: Array("{}".utf8)) }
        for name in ["a/b/c", "", "a..b", "/a", "a b"] {
            #expect(throws: KubernetesError.self, "\(name)") {
                try SecretFiles(files: [name: [1]]).request(namespace: "n", name: "s")
            }
        }
        #expect(throws: KubernetesError.self) {
            try SecretFiles(
                files: ["a": [UInt8](repeating: 1, count: SecretFiles.bytesMaximum + 1)]
            ).request(namespace: "n", name: "s")
        }
    }
}
