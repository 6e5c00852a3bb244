// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshTrust
import ServiceLifecycle
import Synchronization

/// The cluster's CA on a node that holds its key: certifies the cluster's nodes and renews its own
/// certificate, without a restart.
final class AuthorityService: Service {
    /// Between two looks at the authority's life and file.
    private static let interval = Duration.seconds(10)
    /// Between two warnings.
    private static let warningInterval = Duration.seconds(1800)

    private let configuration: AgentConfiguration
    private let held: Mutex<CertificateAuthority>
    private let log: Logger

    init(
        configuration: AgentConfiguration, authority: CertificateAuthority, log: Logger
    ) {
        self.configuration = configuration
        held = Mutex(authority)
        self.log = log
    }

    var authority: CertificateAuthority { held.withLock { $0 } }

    static func folder(of configuration: AgentConfiguration) -> String {
        configuration.paths.trust + "/authority"
    }

    /// Certifies the key of a node of the own cluster, which the caller has authenticated.
    ///
    /// - Parameter request: PKCS#10 in DER, unchecked.
    /// - Throws: ``TrustError``: nothing was issued.
    func certify(
        node: String, request: [UInt8], now: Date = Date()
    ) throws(TrustError) -> [[UInt8]] {
        let authority = authority
        let issued: [[UInt8]]
        do throws(TrustError) {
            issued = try authority.issueNodeCertificateDER(
                node: node, request: NodeRequest(der: request), now: now)
        } catch {
            log.warning(
                "A node's certificate isn't renewed",
                metadata: ["peer.node": "\(node)", "error": "\(error)"])
            throw error
        }
        log.notice("A node's certificate is renewed", metadata: ["peer.node": "\(node)"])
        return issued
    }

    func run() async throws {
        let folder = Self.folder(of: configuration)
        let file = "\(folder)/\(CertificateAuthority.fileName)"
        var known = FileStamp(file)
        var quietFor = Duration.zero
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            quietFor -= Self.interval
            do throws(TrustError) {
                let stamp = FileStamp(file)
                if stamp != known {
                    known = stamp
                    let loaded = try CertificateAuthority.load(
                        cluster: configuration.clusterName, mesh: configuration.mesh,
                        from: folder)
                    held.withLock { $0 = loaded }
                    log.notice("The CA has a new certificate", metadata: ["ca": "\(loaded)"])
                }
                let authority = authority
                guard authority.needsRenewal(now: Date()), quietFor <= .zero else { continue }
                let renewed = try authority.renewed()
                held.withLock { $0 = renewed }
                known = FileStamp(file)
                log.notice("The CA's certificate is renewed", metadata: ["ca": "\(renewed)"])
            } catch {
                guard quietFor <= .zero else { continue }
                quietFor = Self.warningInterval
                log.warning(
                    "The CA's certificate isn't renewed", metadata: ["error": "\(error)"])
            }
        }
    }
}

extension AuthorityService: CustomStringConvertible {
    /// What the log calls this service.
    var description: String { "AuthorityService" }
}
