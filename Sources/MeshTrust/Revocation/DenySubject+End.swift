// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import MeshModel

extension DenySubject {
    /// How far verifiers' clocks may be behind.
    private static let slackSeconds: Double = 3_600

    /// When everything that could match has ended by itself, if it was issued by now: a denial need
    /// not be kept for longer. A name and a key may be certified again as long as there is a root.
    ///
    /// - Parameter roots: of the cluster it is about; none are known: ten years from now.
    public func end(roots: [CertificateLife], now: Date) -> Date {
        func isRoot(_ authority: [UInt8]) -> Bool {
            roots.contains { $0.keyIdentifier == authority }
        }
        let rootsEnd =
            roots.map(\.notAfter).max() ?? now + CertificateProfile.rootLifetimeSeconds
        let life: Double
        switch self {
        case .key, .identity: return rootsEnd
        case .authority(let authority):
            if isRoot(authority) { return rootsEnd }
            life = CertificateProfile.intermediateLifetimeSeconds
        case .certificate(let authority, _):
            life =
                isRoot(authority)
                ? CertificateProfile.intermediateLifetimeSeconds
                : CertificateProfile.nodeLifetimeSeconds
        }
        return now + life + Self.slackSeconds
    }
}
