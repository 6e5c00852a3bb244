// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel
import Testing
import X509

@testable import MeshTrust

@Suite("What follows an authority's key")
struct SuccessionTests {
    let cluster: Cluster
    var authority: CertificateAuthority { cluster.authority }
    var directory: String { authority.directory }

    init() throws { cluster = try Cluster() }

    private func key(_ authority: CertificateAuthority, _ kind: RotationKind) -> String {
        authority.authorityKey(kind).keyIdentifier
    }

    private func files() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory)
            .filter { $0 != Issuance.fileName }.sorted()
    }

    private func load() throws(TrustError) -> CertificateAuthority {
        try CertificateAuthority.load(cluster: east, mesh: mesh, from: directory)
    }

    @Test(
        "is made beside it, once, and signs nothing of the present one's",
        arguments: [
            RotationKind.root, .intermediate,
        ])
    func making(kind: RotationKind) throws {
        let next = try authority.makeSuccessor(kind)
        #expect(try key(authority.makeSuccessor(kind), kind) == key(next, kind))
        #expect(try key(load(), kind) == key(authority, kind))
        #expect(key(next, kind) != key(authority, kind))
        #expect((next.chain[1] == authority.chain[1]) == (kind == .intermediate))
        for name in try files() {
            let mode = try TemporaryDirectory.mode(of: "\(directory)/\(name)")
            #expect(mode & 0o077 == 0, "\(name) has mode \(String(mode, radix: 8))")
        }
        try authority.discardSuccessor()
        #expect(try files() == ["intermediate.pem", "root.pem"])
        #expect(try authority.successor() == nil)
        try authority.discardSuccessor()
    }

    @Test(
        "takes its place in one step, and the former is there until it is dropped",
        arguments: [
            RotationKind.root, .intermediate,
        ])
    func succession(kind: RotationKind) throws {
        let next = try authority.makeSuccessor(kind)
        let new = key(next, kind)
        let changed = try authority.succeeded(by: new, kind: kind)
        #expect(key(changed, kind) == new)
        let former = try #require(try changed.predecessor())
        #expect(key(former, kind) == key(authority, kind))
        #expect(try changed.successor() == nil)
        // Asked again, as after a crash, nothing changes.
        #expect(try key(changed.succeeded(by: new, kind: kind), kind) == new)
        // Its root's key came along: the intermediate can be renewed.
        let renewed = try changed.renewed()
        #expect(renewed.chain[1] == changed.chain[1])
        try changed.dropPredecessor()
        #expect(try changed.predecessor() == nil)
        #expect(try files() == ["intermediate.pem", "root.pem"])
    }

    @Test("is complete in whatever step the change was killed")
    func killed() throws {
        let next = try authority.makeSuccessor(.root)
        let new = key(next, .root)
        let former = "\(directory)/former"
        // The former's copy is half done.
        try SecretFile.makeDirectory(former)
        try SecretFile.write(
            SecretFile.read(named: "root.pem", in: directory), named: "root.pem", in: former,
            existing: .replace)
        #expect(try key(load(), .root) == key(authority, .root))
        // The intermediate is in place, its root is not.
        try SecretFile.write(
            SecretFile.read(named: "intermediate.pem", in: directory), named: "intermediate.pem",
            in: former, existing: .replace)
        try SecretFile.write(
            SecretFile.read(named: "intermediate.pem", in: "\(directory)/next"),
            named: "intermediate.pem", in: directory, existing: .replace)
        #expect(try key(load(), .root) == new)
        #expect(throws: TrustError.self) { try load().renewed() }
        let changed = try load().succeeded(by: new, kind: .root)
        #expect(try key(changed.renewed(), .root) == new)
        let predecessor = try #require(try changed.predecessor())
        #expect(key(predecessor, .root) == key(authority, .root))
        #expect(try changed.successor() == nil)
    }

    @Test("must be the one that was published")
    func other() throws {
        #expect(throws: TrustError.self) {
            try authority.succeeded(by: String(repeating: "0", count: 40), kind: .root)
        }
        _ = try authority.makeSuccessor(.root)
        #expect(throws: TrustError.self) {
            try authority.succeeded(by: String(repeating: "0", count: 40), kind: .root)
        }
        #expect(try key(load(), .root) == key(authority, .root))
    }

    @Test("is a node's own, under the home's root, before and after that changes")
    func delegates() throws {
        // A copy, as there was before nodes could ask.
        let other = "\(cluster.folder.path)/other"
        try SecretFile.makeDirectory(other)
        for name in ["intermediate.pem", "root.pem"] {
            try SecretFile.write(
                SecretFile.read(named: name, in: directory), named: name, in: other,
                existing: .keep)
        }
        func delegate() throws(TrustError) -> CertificateAuthority {
            try CertificateAuthority.load(cluster: east, mesh: mesh, from: other)
        }
        let own = try delegate().installed(
            delegate: authority.certifyDelegate(request: delegate().delegateRequest()).chain,
            under: authority.bundle)
        #expect(own.chain[1] == authority.chain[1])
        #expect(own.chain[0] != authority.chain[0])
        #expect(try own.chain[0] == delegate().chain[0])

        let next = try authority.makeSuccessor(.root)
        let home = try authority.succeeded(by: key(next, .root), kind: .root)
        let answer = try home.certifyDelegate(request: delegate().delegateRequest()).chain
        #expect(throws: TrustError.self) {
            try delegate().installed(delegate: answer, under: authority.bundle)
        }
        let changed = try delegate().installed(delegate: answer, under: home.bundle)
        #expect(changed.chain[1] == home.chain[1])
        // The former root's key, which it had no business with, is gone.
        #expect(
            try FileManager.default.subpathsOfDirectory(atPath: other).sorted()
                == ["clock", "intermediate.pem"].filter {
                    FileManager.default.fileExists(atPath: "\(other)/\($0)")
                })
        #expect(throws: TrustError.self) {
            try changed.certifyDelegate(request: changed.delegateRequest())
        }
    }

    @Test("is a node's first, when it comes from the home and is under the cluster's root")
    func firstDelegate() throws {
        let folder = "\(cluster.folder.path)/first"
        #expect(try !CertificateAuthority.exists(in: folder))
        let domain = authority.trustDomain
        let request = try CertificateAuthority.delegateRequest(of: domain, in: folder)
        let again = try CertificateAuthority.delegateRequest(of: domain, in: folder)
        #expect(
            try CertificateReader.request(again).publicKey
                == CertificateReader.request(request).publicKey)
        let stranger = try Cluster()
        let foreign = try stranger.authority.certifyDelegate(request: request).chain
        #expect(throws: TrustError.self) {
            try CertificateAuthority.installed(
                delegate: foreign, under: authority.bundle, in: folder)
        }
        let answer = try authority.certifyDelegate(request: request).chain
        let first = try CertificateAuthority.installed(
            delegate: answer, under: authority.bundle, in: folder)
        #expect(try CertificateAuthority.exists(in: folder) && !first.hasRootKey)
        #expect(first.chain[1] == authority.chain[1] && first.chain[0] != authority.chain[0])
        let node = try NodeCredentials.issue(node: "n1", by: first)
        _ = try PeerVerifier(store: TrustStore([authority.bundle])).verify(
            presented: node.chainDER(), now: Date())
    }

    @Test("is asked of whoever has the root's key, when it isn't here")
    func offline() throws {
        try SecretFile.remove(named: CertificateAuthority.rootFileName, in: directory)
        for kind in [RotationKind.root, .intermediate] {
            #expect(throws: TrustError.rootKeyAbsent(path: "\(directory)/root.pem")) {
                try authority.makeSuccessor(kind)
            }
        }
        // Of the present root another intermediate is of no use for another root.
        try SecretFile.makeDirectory(authority.successorDirectory)
        try SecretFile.write(
            SecretFile.read(named: "intermediate.pem", in: directory), named: "intermediate.pem",
            in: authority.successorDirectory, existing: .keep)
        let stale = #expect(throws: TrustError.self) { try authority.makeSuccessor(.root) }
        #expect("\(stale!)".contains("under the present root"))
        try authority.discardSuccessor()
        // A new root and its intermediate come from elsewhere.
        let elsewhere = try Cluster()
        try SecretFile.makeDirectory(authority.successorDirectory)
        try SecretFile.write(
            SecretFile.read(named: "intermediate.pem", in: elsewhere.authority.directory),
            named: "intermediate.pem", in: authority.successorDirectory, existing: .keep)
        #expect(throws: TrustError.self) { try authority.makeSuccessor(.intermediate) }
        let next = try authority.makeSuccessor(.root)
        let changed = try authority.succeeded(by: key(next, .root), kind: .root)
        #expect(key(changed, .root) == key(elsewhere.authority, .root))
        #expect(try files() == ["former", "former/intermediate.pem", "intermediate.pem"])
    }
}
