// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What both sides say first, inside TLS: the initiator as `hello`, the other as `helloAck`.
struct Hello: Hashable, Sendable {
    static let version: UInt8 = 1
    static let nameMaximum = 253
    static let publicKeyBytes = 32

    var clusterID: ClusterID
    var clusterName: ClusterName
    var node: String
    var incarnation: UInt64
    /// X25519, made for this link.
    var publicKey: [UInt8]
    /// What the other side's heartbeats to this one carry.
    var receiveKeyID: UInt64

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(clusterID.rawValue)
        writer.write(clusterName.rawValue)
        writer.write(node)
        writer.write(incarnation)
        writer.write(raw: publicKey)
        writer.write(receiveKeyID)
        return writer.bytes
    }

    init(
        clusterID: ClusterID, clusterName: ClusterName, node: String, incarnation: UInt64,
        publicKey: [UInt8], receiveKeyID: UInt64
    ) {
        self.clusterID = clusterID
        self.clusterName = clusterName
        self.node = node
        self.incarnation = incarnation
        self.publicKey = publicKey
        self.receiveKeyID = receiveKeyID
    }

    /// Bytes that a later version appends are ignored.
    ///
    /// - Throws: ``DecodingFault``: the connection is refused with the reason.
    init(decoding bytes: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        guard let clusterID = ClusterID(rawValue: try reader.read())
        else { throw .invalid("cluster ID") }
        let name = try reader.readString(max: ClusterName.maximumLength, "cluster name")
        guard let clusterName = ClusterName(rawValue: name) else { throw .invalid("cluster name") }
        let node = try reader.readString(max: Self.nameMaximum, "node name")
        guard isSubdomain(node) else { throw .invalid("node name") }
        self.clusterID = clusterID
        self.clusterName = clusterName
        self.node = node
        incarnation = try reader.read()
        publicKey = Array(try reader.read(raw: Self.publicKeyBytes))
        receiveKeyID = try reader.read()
    }
}
