// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

private let object = ObjectName(namespace: "default", name: "echo")
private let addresses = [Address(ipv4: 0x0a01_0203), Address(high: 0xfd00 << 48, low: 1)]
private let ports = [
    ServicePort(name: "http", transport: .tcp, port: 80),
    ServicePort(name: "dns", transport: .udp, port: 53),
]

/// A record with the type erased: what a table of tests needs of it.
private struct Sample: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let encoded: [UInt8]
    let decodesToItself: @Sendable ([UInt8]) throws(DecodingFault) -> Bool
    /// Where records of earlier versions end, in bytes from this one's end.
    let earlier: [Int]
    /// What it leaves out because there is nothing to say, and a later version that says more doesn't.
    let unsaid: [UInt8]

    init<Record: LedgerRecord>(_ record: Record, earlier: [Int] = [], unsaid: Int = 0) {
        self.earlier = earlier
        self.unsaid = [UInt8](repeating: 0, count: unsaid)
        testDescription = "\(record.key)"
        encoded = record.encoded
        decodesToItself = { bytes throws(DecodingFault) in try Record(encoded: bytes) == record }
    }
}

private let talkative = ServiceRecord(
    object: object, addresses: [],
    ports: [
        ServicePort(name: "http", transport: .tcp, port: 80, application: "kubernetes.io/h2c"),
        ports[1],
    ], isGlobal: true, isShared: true, affinity: .none, sessionAffinitySeconds: 0, exportedAt: 7,
    exportedMetadata: try! ExportedMetadata(labels: ["a": "b"], annotations: ["c": "é"]),
    headlessFamilies: [.ipv6, .ipv4])
private let named = SliceRecord(
    object: object, service: "echo", ports: ports,
    endpoints: [
        SliceEndpoint(
            addresses: [addresses[0]], isReady: true, isServing: true, isTerminating: false,
            node: "n", hostname: "web-0")
    ])

private let samples: [Sample] = [
    Sample(NamespaceRecord(name: "default", labels: ["a": "b", "c": ""], annotations: ["d": "é"])),
    Sample(
        NodeRecord(
            name: "node-1", outerAddresses: addresses,
            podPrefixes: ["10.1.0.0/24", "fd00:1::/64"].compactMap { Prefix($0) }, zone: "z",
            isRelay: true), earlier: [1]),
    Sample(
        NodeRecord(
            name: "node-2", outerAddresses: addresses, podPrefixes: [], zone: "", isRelay: false,
            gossipKeys: [1, 2].compactMap { GossipKey([UInt8](repeating: $0, count: 32)) },
            isDraining: true), earlier: [1]),
    Sample(IdentityRecord(identity: Identity(rawValue: 0x0010_0100), labels: ["app": "echo"])),
    Sample(
        EndpointRecord(
            object: object, node: "node-1", addresses: addresses,
            identity: Identity(rawValue: 0), labels: ["app": "echo"])),
    Sample(
        ServiceRecord(
            object: object, addresses: addresses, ports: ports, isGlobal: true, isShared: false,
            affinity: .remote, sessionAffinitySeconds: 10_800, distribution: .sameNode),
        earlier: [1, 11], unsaid: 5),
    // Behind it: 19 bytes of protocols, 5 of labels, 6 of annotations, 3 of families.
    Sample(talkative, earlier: [33, 34, 44]),
    Sample(MemberRecord(name: "node-1", addresses: addresses, zone: "east")),
    Sample(
        SliceRecord(
            object: object, service: "echo", ports: ports,
            endpoints: [
                SliceEndpoint(
                    addresses: [addresses[0]], isReady: true, isServing: true,
                    isTerminating: false, node: "node-1"),
                SliceEndpoint(
                    addresses: [addresses[1]], isReady: false, isServing: true,
                    isTerminating: true, node: ""),
            ]), unsaid: 4),
    Sample(named, earlier: [8]),
    Sample(RelaySetRecord(generation: 0x0102_0304_0506_0708, relays: ["node-1", "n"])),
    Sample(StatementRecord(name: "admission/west", body: [1, 2, 3])),
    Sample(AuthorityRecord(bundle: "certificates", root: [1, 2], required: [3])),
    Sample(
        ReceiptRecord(
            node: "n1", bundles: [ClusterID(rawValue: 2)!: 7, ClusterID(rawValue: 9)!: .max],
            issuers: [[1], [2]], authority: [])),
    Sample(PeerRecord(name: "west", body: [4, 5])),
]

@Suite("A record")
struct RecordTests {
    @Test("decodes to what was encoded, whatever a later version appends", arguments: samples)
    fileprivate func roundTrip(sample: Sample) throws {
        #expect(try sample.decodesToItself(sample.encoded))
        #expect(try sample.decodesToItself(sample.encoded + sample.unsaid + [1, 2, 3]))
    }

    @Test("is refused as truncated at every byte it lacks", arguments: samples)
    fileprivate func truncation(sample: Sample) {
        for length in 0..<sample.encoded.count
        where !sample.earlier.contains(sample.encoded.count - length) {
            #expect(throws: DecodingFault.truncated, "\(length) bytes") {
                try sample.decodesToItself(Array(sample.encoded.prefix(length)))
            }
        }
    }

    @Test("with any byte damaged is refused or read, and never traps", arguments: samples)
    fileprivate func damage(sample: Sample) {
        for index in sample.encoded.indices {
            for byte in [0, 1, 0x7f, 0xff] as [UInt8] {
                var bytes = sample.encoded
                bytes[index] = byte
                do throws(DecodingFault) {
                    let isSame = try sample.decodesToItself(bytes)
                    #expect(isSame == (bytes == sample.encoded) || index < bytes.count)
                } catch {
                    #expect(bytes != sample.encoded)
                }
            }
        }
    }

    @Test("of version 0 is from no version of ours")
    func version() {
        #expect(throws: DecodingFault.unsupportedVersion(0)) {
            try IdentityRecord(encoded: [0] + [UInt8](repeating: 0, count: 8))
        }
    }

    @Test("of a node says at its end that it drains; an earlier version's doesn't")
    func draining() throws {
        for isDraining in [false, true] {
            let record = NodeRecord(
                name: "n", outerAddresses: [Address(ipv4: 0x0a01_0203)], podPrefixes: [], zone: "",
                isRelay: false, isDraining: isDraining)
            #expect(record.encoded.last == (isDraining ? 1 : 0))
            #expect(try NodeRecord(encoded: record.encoded) == record)
            #expect(try !NodeRecord(encoded: record.encoded.dropLast()).isDraining)
        }
    }

    @Test("of which a later version says more reads without it as an earlier version reads it")
    func compatibility() throws {
        // What an agent from before wrote, and all that it reads of what is written now.
        let service = ServiceRecord(
            object: object, addresses: [], ports: ports, isGlobal: true, isShared: true,
            affinity: .none, sessionAffinitySeconds: 0, exportedAt: 7)
        #expect(talkative.encoded.dropLast(33) == service.encoded[...])
        #expect(try ServiceRecord(encoded: service.encoded) == service)
        #expect(service.exportedMetadata == .none && service.families.isEmpty)
        let slice = SliceRecord(
            object: object, service: "echo", ports: ports,
            endpoints: [
                SliceEndpoint(
                    addresses: [addresses[0]], isReady: true, isServing: true,
                    isTerminating: false, node: "n")
            ])
        #expect(named.encoded.dropLast(8) == slice.encoded[...])
        #expect(try SliceRecord(encoded: slice.encoded) == slice)
        // Nothing to say takes no bytes: ledgers stay as they were.
        #expect(
            Array(talkative.encoded.suffix(33)) == [17] + Array("kubernetes.io/h2c".utf8) + [
                0,  // the second port's protocol
                1, 1, 0x61, 1, 0x62,  // one label, a: b
                1, 1, 0x63, 2, 0xc3, 0xa9,  // one annotation, c: é
                2, 6, 4,  // families
            ])
    }

    @Test("with what no API server takes is refused by the name of it")
    func exportedBounds() throws {
        let end = Array(talkative.encoded.dropLast(33))
        let none: [UInt8] = [0, 0]
        let bad = "a b".utf8
        for (bytes, fault) in [
            ([3] + bad + [0, 0, 0, 0], DecodingFault.invalid("application protocol")),
            (none + [1, 3] + bad + [0, 0, 0], .invalid("exported label")),
            (none + [1, 1, 0x61, 3] + bad + [0, 0], .invalid("exported label")),
            (none + [0, 1, 3] + bad + [0, 0], .invalid("exported annotation")),
            (none + [0, 65], .tooLong("labels")),
            (none + [0, 0, 1, 5], .invalid("address family")),
            (none + [0, 0, 2, 4, 4], .invalid("address family")),
        ] {
            #expect(throws: fault) { try ServiceRecord(encoded: end + bytes) }
        }
        func record(_ name: String, _ port: ServicePort, exportedAt: UInt64 = 7) -> [UInt8] {
            ServiceRecord(
                object: ObjectName(namespace: "default", name: name), addresses: addresses,
                ports: [port], isGlobal: true, isShared: true, affinity: .none,
                sessionAffinitySeconds: 0, exportedAt: exportedAt
            ).encoded
        }
        let port = ServicePort(name: "a b", transport: .tcp, port: 80)
        let zero = ServicePort(name: "", transport: .tcp, port: 0)
        for (bytes, fault) in [
            (record("web", port), DecodingFault.invalid("port name")),
            (record("web", zero), .invalid("port")), (record("..", ports[0]), .invalid("name")),
        ] {
            #expect(throws: fault) { try ServiceRecord(encoded: bytes) }
        }
        // Nobody writes what isn't exported to an API server.
        #expect(try ServiceRecord(encoded: record("web", port, exportedAt: 0)).ports == [port])
        let hostname = Array(named.encoded.dropLast(8)) + none + [3] + bad
        #expect(throws: DecodingFault.invalid("hostname")) { try SliceRecord(encoded: hostname) }
    }

    @Test("of an identity has these bytes on the wire")
    func bytes() throws {
        let record = IdentityRecord(
            identity: Identity(rawValue: 0x0030_0100), labels: ["b": "2", "a": "1"])
        #expect(
            record.encoded == [
                1,  // version
                0x00, 0x30, 0x01, 0x00,  // identity: cluster 3, number 256
                2,  // two labels, sorted
                1, 0x61, 1, 0x31,  // a: 1
                1, 0x62, 1, 0x32,  // b: 2
            ])
    }

    @Test("of relays has these bytes on the wire; none of them, one twice, or nine are refused")
    func relays() throws {
        #expect(
            RelaySetRecord(generation: 258, relays: ["b", "a1"]).encoded == [
                1,  // version
                0, 0, 0, 0, 0, 0, 1, 2,  // generation
                0, 0, 0, 2,  // two relays, in the order of their places
                1, 0x62, 2, 0x61, 0x31,
            ])
        let nine = (1...9).map { "n\($0)" }
        for (relays, fault) in [
            ([], DecodingFault.invalid("relays")), (["a", "a"], .invalid("relays")),
            (nine, .tooLong("relays")),
        ] {
            #expect(throws: fault) {
                try RelaySetRecord(
                    encoded: RelaySetRecord(generation: 1, relays: relays).encoded)
            }
        }
        let many = RelaySetRecord(generation: 1, relays: Array(nine.dropLast()))
        #expect(try RelaySetRecord(encoded: many.encoded) == many)
    }

    @Test("of an endpoint takes a byte a length, and 5 for an IPv4 address")
    func endpointBytes() throws {
        let record = EndpointRecord(
            object: ObjectName(namespace: "ns", name: String(repeating: "x", count: 200)),
            node: "n", addresses: [Address(ipv4: 0x0a01_0203), Address(high: 1, low: 2)],
            identity: Identity(rawValue: 0x0030_0100), labels: [:])
        #expect(
            record.encoded
                == [1, 2, 0x6e, 0x73, 0x80, 200] + Array(repeating: 0x78, count: 200) + [
                    1, 0x6e,  // node
                    2, 4, 10, 1, 2, 3, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2,
                    0x00, 0x30, 0x01, 0x00, 0,
                ])
        for wrong in [[1, 0x80, 2], [1, 0, 0, 0, 1, 5], [1, 0, 0, 0, 1, 16] + mapped] {
            #expect(throws: DecodingFault.self) { try EndpointRecord(encoded: wrong) }
        }
    }

    /// 10.0.0.1 as 16 bytes: it has one form only.
    private let mapped: [UInt8] =
        Array(repeating: 0, count: 10) + [0xff, 0xff, 10, 0, 0, 1, 0, 0, 0, 0, 0]

    @Test("with more of something than its bound is refused by name")
    func bounds() {
        let record = IdentityRecord(
            identity: .world,
            labels: Dictionary(uniqueKeysWithValues: (0..<65).map { ("\($0)", "") }))
        #expect(throws: DecodingFault.tooLong("labels")) {
            try IdentityRecord(encoded: record.encoded)
        }
    }
}

@Suite("Bytes")
struct ByteTests {
    @Test("are written in network byte order and read back")
    func numbers() throws {
        var writer = ByteWriter()
        writer.write(UInt8(1))
        writer.write(UInt16(0x0203))
        writer.write(UInt64(0x0405_0607_0809_0a0b))
        writer.write(Position(epoch: 7, revision: 9))
        #expect(writer.bytes.prefix(11).elementsEqual(1...11))
        var reader = ByteReader(writer.bytes)
        #expect(try reader.read(UInt8.self) == 1)
        #expect(try reader.read(UInt16.self) == 0x0203)
        #expect(try reader.read(UInt64.self) == 0x0405_0607_0809_0a0b)
        #expect(try reader.readPosition() == Position(epoch: 7, revision: 9))
        try reader.finish()
    }

    @Test("that claim a long list are refused before memory is taken for it")
    func hugeCount() {
        var reader = ByteReader([0xff, 0xff, 0xff, 0xff])
        #expect(throws: DecodingFault.truncated) {
            try reader.readList(max: .max, "list") { reader throws(DecodingFault) in
                try reader.read(UInt8.self)
            }
        }
    }

    @Test("that are no UTF-8, or a flag that is neither, are invalid")
    func invalid() {
        var text = ByteReader([0, 0, 0, 1, 0xff])
        #expect(throws: DecodingFault.invalid("name")) { try text.readString(max: 9, "name") }
        var flag = ByteReader([2])
        #expect(throws: DecodingFault.invalid("flag")) { try flag.readBool() }
    }

    @Test("left over are an error only where the reader says so")
    func trailing() {
        #expect(throws: DecodingFault.trailingBytes) { try ByteReader([0]).finish() }
    }
}
