// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import MeshModel
import SwiftASN1
import Testing
import X509

@testable import MeshTrust

/// Another machine, with the root's key and OpenSSL, and nothing but text from the cluster.
private struct RootMachine {
    let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// Runs the printed commands as they are, with changes if a test wants them.
    func sign(
        _ request: IntermediateRequest, makesRoot: Bool = true,
        _ adjust: (String) -> String = { $0 }
    ) throws -> (certificate: String, root: String) {
        _ = try folder.write(request.pem, to: "intermediate.csr")
        _ = try folder.write(request.configuration, to: "authority.cnf")
        let parts = IntermediateRequest.commands.components(
            separatedBy: "# For every intermediate:")
        let script = adjust(makesRoot ? parts[0] + parts[1] : parts[1])
        let file = try folder.write("set -e\ncd '\(folder.path)'\n" + script, to: "sign.sh")
        let (code, output) = try run(["bash", file])
        try #require(code == 0, "\(output)")
        return (
            try String(contentsOfFile: "\(folder.path)/intermediate.crt", encoding: .utf8),
            try String(contentsOfFile: "\(folder.path)/root.crt", encoding: .utf8)
        )
    }
}

@Suite("A root on another machine")
struct OfflineRootTests {
    let folder: TemporaryDirectory
    let directory: String
    private let machine: RootMachine

    init() throws {
        folder = try TemporaryDirectory()
        directory = "\(folder.path)/ca"
        machine = try RootMachine()
    }

    private func request(areNamesConstrained: Bool = true) throws -> IntermediateRequest {
        try CertificateAuthority.requestIntermediate(
            cluster: east, mesh: mesh, in: directory, areNamesConstrained: areNamesConstrained)
    }

    private func install(
        _ signed: (certificate: String, root: String), now: Date = Date()
    ) throws(TrustError) -> CertificateAuthority {
        try CertificateAuthority.installIntermediate(
            signed.certificate, root: signed.root, cluster: east, mesh: mesh, in: directory,
            now: now)
    }

    @Test(
        "signs with the printed commands what the cluster can work with", arguments: [true, false])
    func commands(areNamesConstrained: Bool) throws {
        let authority = try install(
            machine.sign(request(areNamesConstrained: areNamesConstrained)))
        #expect(try !authority.hasRootKey)
        let files = try FileManager.default.contentsOfDirectory(atPath: directory)
        #expect(Set(files) == ["intermediate.pem"])
        #expect(try TemporaryDirectory.mode(of: "\(directory)/intermediate.pem") == 0o600)
        #expect(
            try (authority.chain[0].extensions.nameConstraints != nil) == areNamesConstrained)
        let node = try NodeCredentials.issue(node: "n1", by: authority)
        for chain in [node.chain, [authority.chain[0]]] {
            let (code, output) = try openSSLVerify(chain, root: authority.chain[1], in: folder)
            #expect(code == 0, "\(output)")
        }
        let store = TrustStore([authority.bundle])
        #expect(try refusal(of: node.chainDER(), by: store, now: Date()) == nil)
        let statement = Statement(.ledgerDelegation, body: [1])
        try authority.bundle.verify(
            authority.sign(statement: statement), of: statement, now: Date())
        let loaded = try CertificateAuthority.load(cluster: east, mesh: mesh, from: directory)
        #expect(loaded.chain == authority.chain)
    }

    @Test("renews under the same root; a request repeated is about the same key, the next isn't")
    func renewal() throws {
        let first = try install(machine.sign(request()))
        let pending = try request()
        #expect(try publicKey(of: pending) == publicKey(of: request()))
        #expect(try publicKey(of: pending) != first.chain[0].publicKey)
        #expect(try TemporaryDirectory.mode(of: "\(directory)/pending.pem") == 0o600)
        let second = try install(machine.sign(request(), makesRoot: false))
        #expect(second.bundle == first.bundle)
        #expect(try second.chain[0].publicKey == publicKey(of: pending))
        // As if the machine had stopped before the pending key was taken away.
        let key = try keyOnDisk("intermediate.pem", in: directory)
        try SecretFile.write(
            key.pemRepresentation, named: "pending.pem", in: directory, existing: .replace)
        #expect(try publicKey(of: request()) != second.chain[0].publicKey)
    }

    /// Where Debian's `softhsm2` has its module.
    private static let module = "/usr/lib/softhsm/libsofthsm2.so"
    private static let isTokenHere =
        [module, "/usr/bin/pkcs11-tool"].allSatisfy(FileManager.default.fileExists)
        && ((try? run(["openssl", "engine", "pkcs11"]))?.code == 0)

    @Test(
        "signs with a key that was made in a PKCS#11 token and never leaves it",
        .enabled(if: isTokenHere, "needs softhsm2, opensc and libengine-pkcs11-openssl"))
    func token() throws {
        // As they are printed, behind a '#'.
        let printed = IntermediateRequest.commands.components(separatedBy: "token, instead of")[1]
            .replacingOccurrences(of: "#", with: "")
        let lines = printed.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        let making = try #require(printed.components(separatedBy: "command:").last)
            .components(separatedBy: "and instead")[0]
            .replacingOccurrences(
                of: "pkcs11-tool", with: "pkcs11-tool --module \(Self.module) --pin 1234")
        func option(_ beginning: String) throws -> String {
            try #require(lines.first { $0.hasPrefix(beginning) })
                .replacingOccurrences(of: "type=private", with: "type=private;pin-value=1234")
        }
        let (key, signer) = (
            try option("-engine pkcs11 -keyform"), try option("-engine pkcs11 -CAkeyform")
        )
        let tokens = "\(machine.folder.path)/tokens"
        let preparation = """
            mkdir '\(tokens)'
            printf 'directories.tokendir = \(tokens)\n' > softhsm2.conf
            export SOFTHSM2_CONF="$PWD/softhsm2.conf" PKCS11_MODULE_PATH=\(Self.module)
            softhsm2-util --init-token --free --label weft --pin 1234 --so-pin 5678
            """
        let signed = try machine.sign(request()) { script in
            let commands = script.split(separator: "\n", omittingEmptySubsequences: false)
                .filter { !$0.hasPrefix("openssl genpkey") && !$0.hasPrefix("#") }
                .joined(separator: "\n")
                .replacingOccurrences(of: "-key root.key", with: key)
                .replacingOccurrences(of: "-CAkey root.key", with: signer)
            return "\(preparation)\n\(making)\n\(commands)"
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: machine.folder.path)
        #expect(!files.contains("root.key") && files.contains("root.crt"))
        let authority = try install(signed)
        let node = try NodeCredentials.issue(node: "n1", by: authority)
        let (code, output) = try openSSLVerify(
            node.chain, root: authority.chain[1], in: folder)
        #expect(code == 0, "\(output)")
    }

    private func publicKey(of request: IntermediateRequest) throws -> Certificate.PublicKey {
        try CertificateSigningRequest(pemEncoded: request.pem).publicKey
    }

    @Test("a root key of P-384 will do as well")
    func otherCurve() throws {
        let authority = try install(
            machine.sign(request()) {
                $0.replacingOccurrences(of: "P-256 -out", with: "P-384 -out")
            })
        let node = try NodeCredentials.issue(node: "n1", by: authority)
        let store = TrustStore([authority.bundle])
        #expect(try refusal(of: node.chainDER(), by: store, now: Date()) == nil)
    }

    struct Mistake: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let reason: String
        /// Of the commands or the configuration.
        let change: @Sendable (String) -> String
    }

    private static func mistake(
        _ description: String, _ reason: String, _ from: String, _ to: String
    ) -> Mistake {
        Mistake(testDescription: description, reason: reason) {
            // `sed` in front, so that only the configuration changes.
            "sed -i '/^.intermediate/,$ s|\(from)|\(to)|' authority.cnf\n" + $0
        }
    }

    static let mistakes: [Mistake] = [
        mistake("may have an authority below", "path length of 0", "pathlen:0", "pathlen:1"),
        mistake("no limit below", "path length of 0", ", pathlen:0", ""),
        mistake("no CA", "is no CA", "CA:TRUE, pathlen:0", "CA:FALSE"),
        mistake("for another cluster", "belongs to", "spiffe://east", "spiffe://west"),
        mistake("may not issue", "may not sign certificates", ", keyCertSign", ""),
        mistake("may not sign statements", "may not sign statements", "digitalSignature, ", ""),
        mistake("constrained to another", "to other names", "URI:east.weft", "URI:west.weft"),
        mistake("unconstrained", "lacks the constraints", "^nameConstraints.*", ""),
        Mistake(testDescription: "signed for a day", reason: "too soon") {
            $0.replacingOccurrences(of: "-days 30 ", with: "-days 1 ")
        },
        Mistake(testDescription: "signed for longer than the root lasts", reason: "outlives") {
            $0.replacingOccurrences(of: "-days 30 ", with: "-days 4000 ")
        },
    ]

    @Test("a certificate outside the profile isn't installed", arguments: mistakes)
    func refused(mistake: Mistake) throws {
        let signed = try machine.sign(request(), mistake.change)
        let error = #expect(throws: TrustError.self) { try install(signed) }
        #expect("\(error!)".contains(mistake.reason))
        let files = try FileManager.default.contentsOfDirectory(atPath: directory)
        #expect(files == ["pending.pem"])
    }

    @Test("a certificate for another key, another root or another time isn't installed")
    func strangers() throws {
        let signed = try machine.sign(request())
        let other = try RootMachine().sign(request())
        let wrongRoot = #expect(throws: TrustError.self) {
            try install((signed.certificate, other.root))
        }
        #expect(wrongRoot.map(kind) == "untrusted")
        for now in [Date() - 86_400, Date() + 31 * 86_400] {
            #expect(throws: TrustError.self) { try install(signed, now: now) }
        }
        for garbage in ["", "x", signed.root, signed.certificate + signed.certificate] {
            #expect(throws: TrustError.self) { try install((garbage, signed.root)) }
        }
        _ = try install(signed)
        let again = #expect(throws: TrustError.self) { try install(signed) }
        #expect("\(again!)".contains("request it again"))
        let underOther = try RootMachine().sign(request())
        let error = #expect(throws: TrustError.self) { try install(underOther) }
        #expect("\(error!)".contains("isn't under the cluster's root"))
    }
}
