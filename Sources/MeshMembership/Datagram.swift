// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What one datagram is for; any may carry statements besides.
enum Message: Hashable, Sendable {
    case ping(UInt32)
    /// Ping `target` for me, and pass its ack on under this number.
    case pingRequest(UInt32, target: String)
    case ack(UInt32)
    /// A helper's: no ack so far.
    case nack(UInt32)
    case gossip
    /// ``Membership/tableDigest`` of the sender.
    case digest(UInt64)
    /// Part of the sender's table, complete in itself.
    case table(wantsAnswer: Bool)
}

/// Plaintext of a datagram, version 2, numbers in network byte order:
///
///     0 version  1 kind  2 incarnation of the sender  6 its capacity  10 what of it is used
///     14 by kind:
///       1 ping, 3 ack, 4 nack   sequence
///       2 ping request          sequence, target (length, bytes)
///       5 gossip
///       6 digest                digest, 8 bytes
///       7 table                 flags: 1 wants an answer
///     then fields: tag, 16-bit length, body; tag 1 is a statement, others are skipped
struct Datagram: Hashable, Sendable {
    static let version: UInt8 = 2
    static let statementTag: UInt8 = 1
    static let fieldHeader = 3

    var incarnation: UInt32
    /// The sender's; nil: it doesn't know.
    var workload: Workload?
    var message: Message
    var statements: [Statement] = []

    private enum Kind: UInt8 {
        case ping = 1
        case pingRequest, ack, nack, gossip, digest, table
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        Self.write(message, incarnation, workload, to: &writer)
        for statement in statements { Self.write(statement, to: &writer) }
        return writer.bytes
    }

    static func write(
        _ message: Message, _ incarnation: UInt32, _ workload: Workload?,
        to writer: inout ByteWriter
    ) {
        func head(_ kind: Kind) {
            writer.write(version)
            writer.write(kind.rawValue)
            writer.write(incarnation)
            writer.write(workload)
        }
        switch message {
        case .ping(let sequence):
            head(.ping)
            writer.write(sequence)
        case .pingRequest(let sequence, let target):
            head(.pingRequest)
            writer.write(sequence)
            writer.write(name: target)
        case .ack(let sequence):
            head(.ack)
            writer.write(sequence)
        case .nack(let sequence):
            head(.nack)
            writer.write(sequence)
        case .gossip:
            head(.gossip)
        case .digest(let digest):
            head(.digest)
            writer.write(digest)
        case .table(let wantsAnswer):
            head(.table)
            writer.write(UInt8(wantsAnswer ? 1 : 0))
        }
    }

    static func write(_ statement: Statement, to writer: inout ByteWriter) {
        writer.write(statementTag)
        writer.write(UInt16(statement.encodedCount))
        statement.write(to: &writer)
    }

    init(
        incarnation: UInt32, workload: Workload? = nil, message: Message,
        statements: [Statement] = []
    ) {
        self.incarnation = incarnation
        self.workload = workload
        self.message = message
        self.statements = statements
    }

    /// - Throws: ``DecodingFault``: the datagram is ignored and counted; nothing of it is believed.
    init(encoded bytes: [UInt8]) throws(DecodingFault) {
        guard bytes.count <= MembershipParameters.Limit.datagram else { throw .tooLong("datagram") }
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        guard let kind = Kind(rawValue: try reader.read()) else { throw .invalid("kind") }
        incarnation = try reader.read()
        workload = try reader.readWorkload()
        message =
            switch kind {
            case .ping: .ping(try reader.read())
            case .pingRequest:
                .pingRequest(try reader.read(), target: try reader.readName())
            case .ack: .ack(try reader.read())
            case .nack: .nack(try reader.read())
            case .gossip: .gossip
            case .digest: .digest(try reader.read())
            case .table: .table(wantsAnswer: try reader.read(UInt8.self) & 1 != 0)
            }
        while !reader.isAtEnd {
            let tag = try reader.read(UInt8.self)
            let body = try reader.read(raw: Int(try reader.read(UInt16.self)))
            guard tag == Self.statementTag else { continue }
            var field = ByteReader(body)
            statements.append(try Statement(from: &field))
        }
    }
}
