// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import X509

/// How long a certificate still lasts, and how it is called in deny lists and by other tools.
public struct CertificateLife: Hashable, Sendable {
    /// A URI, or the subject; printable.
    public let name: String
    /// The subject key identifier; empty if the certificate has none.
    public let keyIdentifier: [UInt8]
    /// Without leading zeros.
    public let serial: [UInt8]
    public let notBefore: Date
    public let notAfter: Date

    public init(_ certificate: Certificate) {
        name = CertificateNames(certificate).label
        keyIdentifier = certificate.ownKeyIdentifier ?? []
        serial = DenySubject.serial(of: certificate)
        (notBefore, notAfter) = (certificate.notValidBefore, certificate.notValidAfter)
    }

    /// In hexadecimal.
    public var keyIdentifierText: String { hexadecimal(keyIdentifier) }
    /// In hexadecimal.
    public var serialText: String { hexadecimal(serial) }

    /// 1 before it begins, 0 after it ended.
    public func fractionLeft(at now: Date) -> Double {
        let life = notAfter.timeIntervalSince(notBefore)
        guard life > 0 else { return 0 }
        return min(1, max(0, notAfter.timeIntervalSince(now) / life))
    }
}
