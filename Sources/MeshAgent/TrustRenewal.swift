// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// Takes a new certificate or bundle into use when its file changes, and warns of one that ends.
struct TrustRenewal: Service {
    static let interval = Duration.seconds(10)
    /// Two thirds of a certificate's 24 h have passed: the new one is late.
    static let warningSeconds: TimeInterval = 8 * 3600
    /// Between two warnings.
    static let warningInterval = Duration.seconds(1800)

    let configuration: AgentConfiguration
    let peers: [PeerCluster]
    /// Of the certificate in use at the start.
    let notAfter: Date
    let links: LinkService
    let state: StateService
    let log: Logger

    func run() async throws {
        let files = TrustMaterial.files(of: configuration, peers: peers)
        var known = files.map(FileStamp.init)
        var notAfter = notAfter
        var quietFor = Duration.zero
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            let stamps = files.map(FileStamp.init)
            if stamps != known {
                known = stamps
                if let renewed = await reload() {
                    notAfter = renewed
                    quietFor = .zero
                }
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

    /// - Returns: until when the new certificate is good; nil if what was in use stays.
    private func reload() async -> Date? {
        do {
            let material = try TrustMaterial(configuration, peers: peers)
            try await material.check()
            let security = material.security
            try await links.reload(security)
            await state.trust(material.ledgerAuthorities)
            log.notice(
                "New certificates are in use", metadata: ["node": "\(security.credentials)"])
            return security.credentials.notAfter
        } catch {
            log.error(
                "New certificates can't be used: the former stay in use",
                metadata: ["error": "\(error)"])
            return nil
        }
    }
}

extension TrustRenewal: CustomStringConvertible {
    /// What the log calls this service.
    var description: String { "TrustRenewal" }
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
