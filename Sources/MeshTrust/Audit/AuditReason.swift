// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshModel

/// A value whose description may stand in the audit log. Only types that hold no secret conform: a
/// `String`, which might, can't be put into a reason.
public protocol AuditPrintable: CustomStringConvertible {}

extension TrustDomain: AuditPrintable {}
extension SPIFFEID: AuditPrintable {}
extension PeerIdentity: AuditPrintable {}
extension TrustError: AuditPrintable {}
extension StatementRefusal: AuditPrintable {}
extension RotationEvent: AuditPrintable {}
extension RotationFault: AuditPrintable {}
extension DenySubject: AuditPrintable {}
extension DenyEntry: AuditPrintable {}
extension DenyBook.Denial: AuditPrintable {}
extension AuditFinding: AuditPrintable {}
extension ClusterID: AuditPrintable {}
extension ClusterName: AuditPrintable {}
extension NodeID: AuditPrintable {}
extension Address: AuditPrintable {}
extension Int: AuditPrintable {}
extension UInt64: AuditPrintable {}

/// Why something was decided: a literal sentence into which only ``AuditPrintable`` values and dates go.
public struct AuditReason: Hashable, Sendable, ExpressibleByStringInterpolation {
    public static let bytesMaximum = 1024
    let text: String

    public init(stringLiteral value: StaticString) {
        text = Self.printable(value.description)
    }

    public init(stringInterpolation: StringInterpolation) {
        text = Self.printable(stringInterpolation.text)
    }

    public struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        public init(literalCapacity: Int, interpolationCount: Int) {}

        public mutating func appendLiteral(_ literal: StaticString) { text += literal.description }

        public mutating func appendInterpolation(_ value: some AuditPrintable) {
            text += value.description
        }

        public mutating func appendInterpolation(_ date: Date) { text += date.ISO8601Format() }
    }

    /// Strangers choose names in certificates: no control characters, and bounded.
    private static func printable(_ text: String) -> String {
        var result = ""
        var bytes = 0
        for scalar in text.unicodeScalars {
            let isPrintable = scalar.properties.generalCategory != .control
            bytes += isPrintable ? UTF8.width(scalar) : 1
            guard bytes <= bytesMaximum else { break }
            result.unicodeScalars.append(isPrintable ? scalar : "?")
        }
        return result
    }
}
