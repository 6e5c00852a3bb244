// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MeshModel
import MeshTrust
import Synchronization
import Testing
import X509

@testable import MeshAgent

private let start = Date()

/// A mesh that holds whatever is announced as soon as it is reachable.
private final class Mesh: Sendable {
    struct State {
        var audited: [AuditEntry] = []
        var announced: [Certificate]
        var sequence: UInt64 = 100
        var isPartitioned = false
        var reissuedUnder: [String] = []
    }

    let folder: String
    let state: Mutex<State>
    private let held: Mutex<CertificateAuthority>
    /// Called at every moment at which the agent might be killed.
    let moment: Mutex<(@Sendable () -> Void)?> = Mutex(nil)

    init(folder: String, announced: [Certificate]? = nil, sequence: UInt64 = 100) throws {
        self.folder = folder
        let authority = try CertificateAuthority.load(
            cluster: ClusterName(rawValue: "east")!, mesh: "weft.test", from: folder)
        held = Mutex(authority)
        state = Mutex(State(announced: announced ?? [authority.chain[1]], sequence: sequence))
    }

    var authority: CertificateAuthority { held.withLock { $0 } }
    var root: String { authority.authorityKey(.root).keyIdentifier }

    private func pass() { moment.withLock { $0 }?() }

    func service() throws -> RotationService {
        try RotationService(
            folder: folder,
            surroundings: RotationSurroundings(
                authority: { self.authority },
                use: { next in
                    self.held.withLock { $0 = next }
                    self.pass()
                },
                sequence: { self.state.withLock { $0.sequence } },
                announce: { roots in
                    self.pass()
                    self.state.withLock { state in
                        guard state.announced != roots else { return }
                        state.announced = roots
                        state.sequence += 1
                    }
                    self.pass()
                },
                require: { _ in },
                reissue: {
                    self.pass()
                    self.state.withLock { $0.reissuedUnder.append(self.root) }
                    self.pass()
                },
                peers: {
                    self.pass()
                    return self.state.withLock { state in
                        [
                            RotationPeer(
                                cluster: ClusterName(rawValue: "west")!,
                                isLive: !state.isPartitioned,
                                acknowledged: state.isPartitioned ? 100 : state.sequence)
                        ]
                    }
                },
                laggards: { key in
                    let authority = self.authority
                    let isUsed = [RotationKind.root, .intermediate].contains {
                        authority.authorityKey($0) == key
                    }
                    return isUsed ? [] : ["node-1"]
                },
                audit: { entry in self.state.withLock { $0.audited.append(entry) } }),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
}

/// Half an hour in steps of ten seconds.
private func run(_ service: RotationService, from now: Date = start) async {
    for step in 0..<180 { await service.step(now: now + Double(step) * 10) }
}

@Suite("A rotation on the home")
struct RotationServiceTests {
    let folder: TemporaryFolder
    let directory: String

    init() throws {
        folder = try TemporaryFolder()
        directory = "\(folder.path)/authority"
        _ = try CertificateAuthority.create(
            cluster: ClusterName(rawValue: "east")!, mesh: "weft.test", in: directory)
    }

    @Test("of a root leaves the new one alone, announced and in use")
    func root() async throws {
        let mesh = try Mesh(folder: directory)
        let before = mesh.root
        let service = try mesh.service()
        try await service.begin(.root, by: .agent, now: start)
        await run(service)
        #expect(await service.rotation?.phase == .removed)
        #expect(mesh.root != before)
        mesh.state.withLock { state in
            #expect(state.announced == [mesh.authority.chain[1]])
            #expect(state.sequence == 102)
            #expect(state.reissuedUnder == [mesh.root])
        }
        #expect(try mesh.authority.successor() == nil)
        #expect(try mesh.authority.predecessor() == nil)
    }

    @Test("of an intermediate announces nothing")
    func intermediate() async throws {
        let mesh = try Mesh(folder: directory)
        let before = mesh.authority
        let service = try mesh.service()
        try await service.begin(.intermediate, by: .agent, now: start)
        await run(service)
        #expect(await service.rotation?.phase == .removed)
        #expect(mesh.authority.chain[1] == before.chain[1])
        #expect(mesh.authority.chain[0] != before.chain[0])
        #expect(mesh.state.withLock { $0.sequence } == 100)
    }

    @Test("waits for a partitioned peer, names it, and can be forced or aborted")
    func partition() async throws {
        let mesh = try Mesh(folder: directory)
        let before = mesh.root
        mesh.state.withLock { $0.isPartitioned = true }
        let service = try mesh.service()
        try await service.begin(.root, by: .agent, now: start)
        await run(service)
        #expect(await service.rotation?.phase == .published)
        #expect(try #require(await service.rotation?.status).contains("west (unreachable)"))
        await #expect(throws: RotationRefusal.self) {
            try await service.begin(.root, by: .agent, now: start)
        }
        #expect(mesh.state.withLock { $0.audited.last }?.decision == .refused)
        try await service.abort(by: .agent, now: start)
        await run(service)
        #expect(await service.rotation?.phase == .aborted)
        #expect(mesh.root == before)
        #expect(mesh.state.withLock { $0.announced } == [mesh.authority.chain[1]])
        #expect(try mesh.authority.successor() == nil)

        try await service.begin(.root, by: .agent, now: start)
        await run(service)
        #expect(try await service.force(by: .agent, now: start).map(\.rawValue) == ["west"])
        await run(service)
        #expect(await service.rotation?.phase == .removed)
        #expect(mesh.root != before)
    }

    @Test(
        "that is killed at any moment goes on to the same end",
        arguments: [
            RotationKind.root, .intermediate,
        ])
    func killed(kind: RotationKind) async throws {
        struct Moment {
            let folder: String
            let announced: [Certificate]
            let sequence: UInt64
        }
        let mesh = try Mesh(folder: directory)
        let moments = Mutex<[Moment]>([])
        let copies = folder.path
        mesh.moment.withLock {
            $0 = {
                moments.withLock { moments in
                    let copy = "\(copies)/moment-\(moments.count)"
                    try? FileManager.default.copyItem(atPath: mesh.folder, toPath: copy)
                    let (announced, sequence) = mesh.state.withLock { ($0.announced, $0.sequence) }
                    moments.append(
                        Moment(folder: copy, announced: announced, sequence: sequence))
                }
            }
        }
        let service = try mesh.service()
        try await service.begin(kind, by: .agent, now: start)
        for seconds in [0.0, 10, 120] { await service.step(now: start + seconds) }
        #expect(await service.rotation?.phase == .removed)
        let former = moments.withLock { $0 }
        #expect(former.count > (kind == .root ? 8 : 3))
        var begun = 0
        for (index, moment) in former.enumerated() {
            // What was saved last, or, when the kill came before that, one save less.
            for earlier in Set([index, max(0, index - 1)]) {
                let copy = "\(copies)/restart-\(index)-\(earlier)"
                try FileManager.default.copyItem(atPath: moment.folder, toPath: copy)
                let file = "\(copy)/\(RotationService.fileName)"
                let saved = "\(former[earlier].folder)/\(RotationService.fileName)"
                try? FileManager.default.removeItem(atPath: file)
                guard FileManager.default.fileExists(atPath: saved) else { continue }
                try FileManager.default.copyItem(atPath: saved, toPath: file)
                let restarted = try Mesh(
                    folder: copy, announced: moment.announced, sequence: moment.sequence)
                let service = try restarted.service()
                guard await service.rotation != nil else { continue }
                begun += 1
                await run(service)
                #expect(await service.rotation?.phase == .removed, "moment \(index)")
                let root = restarted.authority.chain[1]
                #expect(restarted.state.withLock { $0.announced } == [root], "moment \(index)")
                #expect(try restarted.authority.predecessor() == nil, "moment \(index)")
                #expect(try restarted.authority.successor() == nil, "moment \(index)")
            }
        }
        #expect(begun > 4)
    }

    @Test("of a root that is kept elsewhere waits for what the next one signs, and goes on with it")
    func offline() async throws {
        try FileManager.default.removeItem(
            atPath: "\(directory)/\(CertificateAuthority.rootFileName)")
        let mesh = try Mesh(folder: directory)
        let before = mesh.root
        let service = try mesh.service()
        try await service.begin(.root, by: .agent, now: start)
        await run(service)
        #expect(await service.rotation?.phase == .preparing)
        #expect(await service.obstacle?.contains("weft ca request") == true)

        let name = ClusterName(rawValue: "east")!
        let next = mesh.authority.successorDirectory
        let request = try CertificateAuthority.requestIntermediate(
            cluster: name, mesh: "weft.test", in: next)
        let machine = try TemporaryFolder()
        _ = try machine.write("intermediate.csr", request.pem)
        _ = try machine.write("authority.cnf", request.configuration)
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.currentDirectoryURL = URL(filePath: machine.path)
        process.arguments = ["-ec", "exec 2>/dev/null\n" + IntermediateRequest.commands]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        func text(_ name: String) throws -> String {
            try String(contentsOf: URL(filePath: "\(machine.path)/\(name)"), encoding: .utf8)
        }
        let installed = try CertificateAuthority.installIntermediate(
            text("intermediate.crt"), root: text("root.crt"), cluster: name, mesh: "weft.test",
            in: next)
        // Nothing rests on it before everybody holds its root.
        #expect(mesh.root == before)
        await run(service)
        #expect(await service.rotation?.phase == .removed)
        #expect(mesh.root == installed.authorityKey(.root).keyIdentifier && mesh.root != before)
        #expect(mesh.state.withLock { $0.announced } == [installed.chain[1]])
        #expect(try !mesh.authority.hasRootKey)
        #expect(try mesh.authority.successor() == nil && mesh.authority.predecessor() == nil)
    }

    @Test("doesn't start on a file it can't read")
    func damage() throws {
        let mesh = try Mesh(folder: directory)
        let file = "\(directory)/\(RotationService.fileName)"
        try Data("weft trust state 1 0\n{}".utf8).write(to: URL(filePath: file))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        #expect(throws: TrustError.self) { try mesh.service() }
    }
}
