// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// Takes new certificates, bundles and peers into use when their files change, and warns of a
/// certificate that ends.
actor TrustService: Service {
    /// Between two looks at the files.
    static let interval = Duration.seconds(1)
    /// Two thirds of a certificate's 24 h have passed: the new one is late.
    static let warningSeconds: TimeInterval = 8 * 3600
    /// Between two warnings.
    static let warningInterval = Duration.seconds(1800)

    private let configuration: AgentConfiguration
    private var folder: PeerFolder
    /// Of the certificate in use.
    private var notAfter: Date
    private let links: LinkService
    private let state: StateService
    private let log: Logger

    init(
        configuration: AgentConfiguration, folder: PeerFolder, notAfter: Date, links: LinkService,
        state: StateService, log: Logger
    ) {
        self.configuration = configuration
        self.folder = folder
        self.notAfter = notAfter
        self.links = links
        self.state = state
        self.log = log
    }

    /// Why peers' files are not, or no longer, in force.
    var peerProblems: [ConfigurationError] { folder.problems }

    func run() async throws {
        var known = stamps
        var quietFor = Duration.zero
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            let stamps = stamps
            if stamps != known {
                known = stamps
                if await reload() { quietFor = .zero }
            }
            quietFor -= Self.interval
            let left = notAfter.timeIntervalSinceNow
            guard left < Self.warningSeconds, quietFor <= .zero else { continue }
            quietFor = Self.warningInterval
            log.warning(
                left > 0
                    ? "This node's certificate ends soon" : "This node's certificate has expired",
                metadata: [
                    "not-after": "\(notAfter.ISO8601Format())",
                    "hint":
                        "issue one with `weft ca issue`; it is taken into use without a restart",
                ])
        }
    }

    /// Of all files that matter, the peers folder's among them.
    private var stamps: [String: FileStamp] {
        let folder = configuration.paths.peers
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let files =
            TrustMaterial.files(of: configuration, peers: self.folder.peers)
            + names.map { folder + "/" + $0 }
        return Dictionary(files.map { ($0, FileStamp($0)) }) { first, _ in first }
    }

    /// - Returns: whether what the files say is in use; else what was in use stays.
    private func reload() async -> Bool {
        do {
            let folder = PeerFolder(
                folder: configuration.paths.peers, own: configuration, former: folder)
            let known = Set(self.folder.problems.map(\.description))
            for problem in folder.problems where !known.contains(problem.description) {
                log.error("A peer's file can't be used", metadata: ["problem": "\(problem)"])
            }
            let material = try TrustMaterial(configuration, peers: folder.peers)
            try await material.check()
            let security = material.security
            try await links.reload(security)
            await state.setPeers(folder.peers, authorities: material.ledgerAuthorities)
            self.folder = folder
            notAfter = security.credentials.notAfter
            log.notice(
                "New certificates and peers are in use",
                metadata: [
                    "node": "\(security.credentials)", "peers": "\(folder.peers.count)",
                ])
            return true
        } catch {
            log.error(
                "New certificates or peers can't be used: the former stay in use",
                metadata: ["error": "\(error)"])
            return false
        }
    }
}

extension TrustService: CustomStringConvertible {
    /// What the log calls this service.
    nonisolated var description: String { "TrustService" }
}

/// Tells whether a file is another one than before; unreadable is a state of its own. Secrets are
/// replaced by renaming, so another file has another number.
private struct FileStamp: Equatable {
    let modified: Date?
    let number: String?
    let bytes: String?

    init(_ path: String) {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        modified = attributes?[.modificationDate] as? Date
        number = attributes?[.systemFileNumber].map { "\($0)" }
        bytes = attributes?[.size].map { "\($0)" }
    }
}
