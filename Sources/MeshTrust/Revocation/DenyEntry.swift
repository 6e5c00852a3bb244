// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import MeshModel

/// One line of a deny list.
public struct DenyEntry: Hashable, Sendable {
    public static let reasonBytesMaximum = 200

    public let subject: DenySubject
    /// For people; printable.
    public let reason: String
    public let since: Date
    /// When everything that is denied has expired by itself: the entry drops off.
    public let until: Date

    /// Both times are cut to whole seconds.
    ///
    /// - Throws: ``StatementRefusal/malformed(_:)`` for a reason that is too long or has control
    ///   characters, or times before 1970 or in the wrong order.
    public init(
        _ subject: DenySubject, reason: String, since: Date, until: Date
    ) throws(StatementRefusal) {
        guard reason.utf8.count <= Self.reasonBytesMaximum,
            reason.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else {
            throw .malformed(
                "a denial's reason must be printable and have at most \(Self.reasonBytesMaximum) "
                    + "bytes")
        }
        guard let start = Self.seconds(since), let end = Self.seconds(until), start <= end
        else { throw .malformed("a denial must end after it begins") }
        self.subject = subject
        self.reason = reason
        self.since = Date(timeIntervalSince1970: Double(start))
        self.until = Date(timeIntervalSince1970: Double(end))
    }

    private static func seconds(_ date: Date) -> UInt64? {
        UInt64(exactly: date.timeIntervalSince1970.rounded(.down))
    }
}

extension DenyEntry: CustomStringConvertible {
    public var description: String {
        "\(subject) is denied from \(since.ISO8601Format()) until \(until.ISO8601Format()): \(reason)"
    }
}

extension DenyEntry {
    func encode(into writer: inout ByteWriter) {
        writer.write(raw: subject.encoded)
        writer.write(reason)
        writer.write(UInt64(since.timeIntervalSince1970))
        writer.write(UInt64(until.timeIntervalSince1970))
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        let subject = try DenySubject(from: &reader)
        let reason = try reader.readString(max: Self.reasonBytesMaximum, "reason")
        let (since, until) = (try reader.read(UInt64.self), try reader.read(UInt64.self))
        // Beyond 2^53 a Double would round, and the encoding be no longer canonical.
        guard until < 1 << 53 else { throw .invalid("end of a denial") }
        do {
            try self.init(
                subject, reason: reason, since: Date(timeIntervalSince1970: Double(since)),
                until: Date(timeIntervalSince1970: Double(until)))
        } catch {
            throw .invalid("denial")
        }
    }
}
