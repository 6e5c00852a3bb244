// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import X509

func base64(_ bytes: some Sequence<UInt8>) -> String { Data(bytes).base64EncodedString() }

/// RFC 4648 §5, without padding, as JSON Web Keys have it.
func base64URL(_ bytes: some Sequence<UInt8>) -> String {
    String(
        base64(bytes).compactMap { character -> Character? in
            switch character {
            case "+": "-"
            case "/": "_"
            case "=": nil
            default: character
            }
        })
}

extension KeyedDecodingContainer {
    func decodeBase64(_ key: Key) throws -> [UInt8] {
        guard let data = Data(base64Encoded: try decode(String.self, forKey: key)) else {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self, debugDescription: "not base64")
        }
        return Array(data)
    }
}

extension [UInt8] {
    /// Nil for anything but pairs of digits.
    public init?(hexadecimal text: some StringProtocol) {
        let digits = text.compactMap(\.hexDigitValue).map { UInt8($0) }
        guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
        self = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

/// Nil unless `name` is `<cluster>.<mesh>`.
func meshTrustDomain(named name: String, mesh: String) -> TrustDomain? {
    guard name.hasSuffix(".\(mesh)"),
        let cluster = ClusterName(rawValue: String(name.dropLast(mesh.utf8.count + 1)))
    else { return nil }
    return try? TrustDomain(cluster: cluster, mesh: mesh)
}

extension ByteReader {
    /// The context and the version that a signed body begins with.
    mutating func readPreamble(_ context: [UInt8], version: UInt8) throws(DecodingFault) {
        guard try read(raw: context.count).elementsEqual(context)
        else { throw .invalid("context") }
        let found = try read(UInt8.self)
        guard found == version else { throw .unsupportedVersion(found) }
    }
}

/// The subject key identifier in hexadecimal, empty when the certificate has none.
func keyIdentifierText(_ certificate: Certificate) -> String {
    hexadecimal(((try? certificate.extensions.subjectKeyIdentifier) ?? nil)?.keyIdentifier ?? [])
}
