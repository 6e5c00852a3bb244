// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

/// What two agents tell each other on a stream; the first byte of a frame is the kind.
enum Message: Hashable, Sendable {
    /// Ledger synchronisation, as `MeshReplication` encodes it. Between any two nodes.
    case replication([UInt8])
    /// Everything a node says of itself, or what changed since its previous report. Own cluster only.
    case report(Report)
    /// What a relay's heartbeats show, every 200 ms and on change. Own cluster only.
    case paths(RelayReport)
    /// Which nodes of its own cluster a relay holds for dead. To other clusters' relays, and by these
    /// to their own cluster's nodes.
    case deadNodes(DeadNodes)
    /// The cluster's wish to be left, or not any more; the higher generation counts. Own cluster only.
    case drain(DrainWish)
    /// The sender publishes its cluster's ledger, and this is its newest revision. Own cluster only.
    case publisher(Position)

    /// A node asks the authority to certify its next key: PKCS#10 in DER. Own cluster only.
    case certificateRequest(CertificatePurpose, [UInt8])
    /// What the authority answers. Own cluster only; believed as far as it verifies.
    case certificate(CertificatePurpose, CertificateAnswer)

    /// What flows there were or are. Own cluster only.
    case flowsAsk(FlowAsk)
    /// Own cluster only.
    case flowsAnswer(FlowAnswer)

    /// What the other node knows of one flow. Own cluster only.
    case accountAsk(AccountAsk)
    /// Own cluster only; believed about what is the node's own.
    case account(FlowAccount)

    enum CertificatePurpose: UInt8, Sendable {
        /// The node's own, to talk to others with.
        case node = 1
        /// Below the root, to sign for the cluster with: for nodes that may publish its ledger.
        case authority = 2
    }

    enum CertificateAnswer: Hashable, Sendable {
        static let requestBytes = 4096
        static let certificates = 4
        static let certificateBytes = 16 * 1024
        static let reasonBytes = 1024

        /// DER, the node's own first.
        case issued([[UInt8]])
        /// Why not, in a sentence.
        case refused(String)
    }

    struct Report: Hashable, Sendable {
        static let maximumRecords = 20_000
        /// First message of a complete report.
        var opens: Bool
        /// Last message of a complete report: what was not put since the first is gone.
        var closes: Bool
        var puts: [Put]
        var deletes: [RecordKey]

        struct Put: Hashable, Sendable {
            var key: RecordKey
            /// Nanoseconds of the real-time clock at which the object first read so; the older of two
            /// conflicting objects wins.
            var since: UInt64
            var value: [UInt8]
        }
    }

    struct DeadNodes: Hashable, Sendable {
        static let maximumNodes = 5_000
        /// Who claims it, of its own cluster's nodes.
        var relay: NodeID
        var names: [String]
    }

    struct DrainWish: Hashable, Sendable {
        var isDraining: Bool
        /// Milliseconds of the real-time clock at which it was said; 0 is never.
        var generation: UInt64
    }
}

extension Message {
    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .replication(let bytes):
            writer.write(UInt8(1))
            writer.write(raw: bytes)
        case .report(let report):
            writer.write(UInt8(2))
            writer.write(report.opens)
            writer.write(report.closes)
            writer.write(list: report.puts) { writer, put in
                writer.write(put.key.description)
                writer.write(put.since)
                writer.write(field: put.value)
            }
            writer.write(list: report.deletes) { $0.write($1.description) }
        case .paths(let report):
            writer.write(UInt8(3))
            writer.write(raw: report.encoded)
        case .deadNodes(let claim):
            writer.write(UInt8(4))
            writer.write(claim.relay.cluster.rawValue)
            writer.write(claim.relay.name)
            writer.write(list: claim.names) { $0.write($1) }
        case .drain(let wish):
            writer.write(UInt8(5))
            writer.write(wish.isDraining)
            writer.write(wish.generation)
        case .publisher(let position):
            writer.write(UInt8(6))
            writer.write(position)
        case .certificateRequest(let purpose, let request):
            writer.write(UInt8(7))
            writer.write(purpose.rawValue)
            writer.write(field: request)
        case .certificate(let purpose, .issued(let chain)):
            writer.write(UInt8(8))
            writer.write(purpose.rawValue)
            writer.write(list: chain) { $0.write(field: $1) }
        case .certificate(let purpose, .refused(let reason)):
            writer.write(UInt8(9))
            writer.write(purpose.rawValue)
            writer.write(
                String(
                    decoding: reason.utf8.prefix(CertificateAnswer.reasonBytes / 3), as: UTF8.self))
        case .flowsAsk(let ask):
            writer.write(UInt8(10))
            writer.write(ask)
        case .flowsAnswer(let answer):
            writer.write(UInt8(11))
            writer.write(answer)
        case .accountAsk(let ask):
            writer.write(UInt8(12))
            writer.write(ask)
        case .account(let account):
            writer.write(UInt8(13))
            writer.write(account)
        }
        return writer.bytes
    }

    /// - Throws: ``DecodingFault``: the message is ignored and counted, the stream goes on.
    init(encoded bytes: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        switch try reader.read(UInt8.self) {
        case 1: self = .replication(Array(try reader.read(raw: reader.remaining)))
        case 2: self = .report(try reader.readReport())
        case 3:
            self = .paths(try RelayReport(encoded: try reader.read(raw: reader.remaining)))
        case 4:
            self = .deadNodes(try reader.readDeadNodes())
        case 5:
            self = .drain(
                DrainWish(isDraining: try reader.readBool(), generation: try reader.read()))
        case 6: self = .publisher(try reader.readPosition())
        case 7:
            self = .certificateRequest(
                try reader.readPurpose(),
                Array(try reader.readField(max: CertificateAnswer.requestBytes, "request")))
        case 8:
            self = .certificate(
                try reader.readPurpose(),
                .issued(
                    try reader.readList(max: CertificateAnswer.certificates, "certificates") {
                        reader throws(DecodingFault) in
                        Array(
                            try reader.readField(
                                max: CertificateAnswer.certificateBytes, "certificate"))
                    }))
        case 9:
            self = .certificate(
                try reader.readPurpose(),
                .refused(try reader.readString(max: CertificateAnswer.reasonBytes, "reason")))
        case 10: self = .flowsAsk(try reader.readFlowAsk())
        case 11: self = .flowsAnswer(try reader.readFlowAnswer())
        case 12: self = .accountAsk(try reader.readAccountAsk())
        case 13: self = .account(try reader.readAccount())
        case let kind: throw .invalid("message kind \(kind)")
        }
        try reader.finish()
    }
}

extension ByteReader {
    fileprivate mutating func readCluster() throws(DecodingFault) -> ClusterID {
        guard let cluster = ClusterID(rawValue: try read()) else { throw .invalid("cluster ID") }
        return cluster
    }

    fileprivate mutating func readPurpose() throws(DecodingFault) -> Message.CertificatePurpose {
        guard let purpose = Message.CertificatePurpose(rawValue: try read())
        else { throw .invalid("purpose of a certificate") }
        return purpose
    }

    fileprivate mutating func readDeadNodes() throws(DecodingFault) -> Message.DeadNodes {
        guard
            let relay = NodeID(
                cluster: try readCluster(), name: try readString(max: 253, "node name"))
        else { throw .invalid("node name") }
        return Message.DeadNodes(
            relay: relay,
            names: try readList(max: Message.DeadNodes.maximumNodes, "nodes") {
                reader throws(DecodingFault) in try reader.readString(max: 253, "node name")
            })
    }

    fileprivate mutating func readKey() throws(DecodingFault) -> RecordKey {
        guard let key = RecordKey(try readString(max: RecordKey.maximumLength, "record key"))
        else { throw .invalid("record key") }
        return key
    }

    fileprivate mutating func readReport() throws(DecodingFault) -> Message.Report {
        let opens = try readBool()
        let closes = try readBool()
        let puts = try readList(max: Message.Report.maximumRecords, "records") {
            reader throws(DecodingFault) in
            Message.Report.Put(
                key: try reader.readKey(), since: try reader.read(),
                value: Array(try reader.readField(max: RecordLimit.valueBytes, "record")))
        }
        let deletes = try readList(max: Message.Report.maximumRecords, "deletes") {
            reader throws(DecodingFault) in try reader.readKey()
        }
        return Message.Report(opens: opens, closes: closes, puts: puts, deletes: deletes)
    }
}
