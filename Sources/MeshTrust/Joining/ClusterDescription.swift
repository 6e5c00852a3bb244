// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import SwiftASN1

/// Where a cluster takes streams: underlay address and TCP port.
public struct ClusterAddress: Hashable, Comparable, Sendable {
    public let address: Address
    /// Host byte order, never 0.
    public let port: UInt16

    public init?(address: Address, port: UInt16) {
        guard port > 0 else { return nil }
        self.address = address
        self.port = port
    }

    public static func < (left: ClusterAddress, right: ClusterAddress) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }
}

extension ClusterAddress: LosslessStringConvertible {
    /// `192.0.2.1:4790` or `[2001:db8::1]:4790`.
    public init?(_ text: String) {
        guard text.utf8.count <= 64, let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.first == "[" && host.last == "]"
        if isBracketed { host = host.dropFirst().dropLast() }
        // Without brackets an IPv6 address would lose its last group to the port.
        guard isBracketed == host.contains(":"), let address = Address(String(host))
        else { return nil }
        self.init(address: address, port: port)
    }

    public var description: String {
        address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// What clusters know of one another: what `peers.d/NAME.yaml` is written from.
public struct ClusterDescription: Hashable, Sendable {
    public let id: ClusterID
    /// Its roots, 1...4; their trust domain holds its name and its mesh's.
    public let bundle: TrustBundle
    /// 1...8, the preferred one first.
    public let addresses: [ClusterAddress]
    public let charter: ClusterCharter

    public init(
        id: ClusterID, bundle: TrustBundle, addresses: [ClusterAddress], charter: ClusterCharter
    ) throws(TrustError) {
        func invalid(_ reason: String) -> TrustError {
            .invalidBundle(domain: bundle.trustDomain.name, reason: reason)
        }
        guard (1...JoinLimit.roots).contains(bundle.anchors.count)
        else { throw invalid("\(bundle.anchors.count) roots instead of 1...\(JoinLimit.roots)") }
        guard (1...JoinLimit.addresses).contains(addresses.count) else {
            throw invalid("\(addresses.count) addresses instead of 1...\(JoinLimit.addresses)")
        }
        for root in bundle.anchors where try root.der().count > JoinLimit.certificateBytes {
            throw invalid("a root of more than \(JoinLimit.certificateBytes) bytes")
        }
        self.id = id
        self.bundle = bundle
        self.addresses = addresses
        self.charter = charter
    }

    public var name: ClusterName { bundle.trustDomain.cluster }
    public var mesh: String { bundle.trustDomain.mesh }
    /// Of its roots' keys, sorted.
    public var pins: [KeyPin] { bundle.anchors.map { KeyPin(of: $0) }.sorted() }
    public var subject: TokenSubject { TokenSubject(cluster: name, id: id) }

    /// Whether a signature by either counts for both: they share a root's key.
    func sharesRoot(with other: ClusterDescription) -> Bool {
        !Set(pins).isDisjoint(with: other.pins)
    }
}

extension ClusterDescription {
    func encode(into writer: inout ByteWriter) throws(TrustError) {
        writer.write(short: name.rawValue)
        writer.write(short: mesh)
        writer.write(id.rawValue)
        try writer.write(bundle)
        writer.write(list: addresses) {
            $0.write($1.address)
            $0.write($1.port)
        }
        charter.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        let name = try reader.readClusterName()
        let mesh = try reader.readMesh()
        let id = try reader.readClusterID()
        let bundle = try reader.readBundle(cluster: name, mesh: mesh, max: JoinLimit.roots)
        let addresses = try reader.readList(max: JoinLimit.addresses, "addresses") {
            reader throws(DecodingFault) in
            guard
                let address = ClusterAddress(
                    address: try reader.readAddress(), port: try reader.read())
            else { throw .invalid("address") }
            return address
        }
        let charter = try ClusterCharter(from: &reader)
        do throws(TrustError) {
            self = try ClusterDescription(
                id: id, bundle: bundle, addresses: addresses, charter: charter)
        } catch {
            throw .invalid("\(error)")
        }
    }
}

extension ByteWriter {
    mutating func write(_ bundle: TrustBundle) throws(TrustError) {
        write(UInt32(bundle.anchors.count))
        for anchor in bundle.anchors { write(field: try anchor.der()) }
    }
}

extension ByteReader {
    /// Every certificate is bounded before it is parsed, and judged as ``TrustBundle`` judges it.
    mutating func readBundle(
        cluster: ClusterName, mesh: String, max: Int
    ) throws(DecodingFault) -> TrustBundle {
        let ders = try readList(max: max, "roots") { reader throws(DecodingFault) in
            Array(try reader.readField(max: JoinLimit.certificateBytes, "root"))
        }
        do throws(TrustError) {
            return try TrustBundle(
                trustDomain: TrustDomain(cluster: cluster, mesh: mesh),
                pem: ders.map { PEMDocument(type: "CERTIFICATE", derBytes: $0).pemString + "\n" }
                    .joined())
        } catch {
            throw .invalid("\(error)")
        }
    }
}
