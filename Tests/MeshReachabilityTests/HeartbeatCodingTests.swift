// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("A heartbeat on the wire")
struct HeartbeatCodingTests {
    static let beat = Heartbeat(
        cluster: ClusterID(rawValue: 258)!, instance: 0x1122_3344_5566_7788, sequence: 7,
        sentAt: Instant(nanoseconds: 1_000_000_000), interval: .milliseconds(200),
        wanted: .milliseconds(1000), insideMissed: 3,
        echo: HeartbeatEcho(sequence: 6, hold: .microseconds(65_537)),
        drain: DrainDeclaration(generation: 3, isDraining: true),
        head: Position(epoch: 2, revision: 9), rollup: RollupHash(high: 1, low: 2),
        relaySetGeneration: 5, workload: Workload(capacity: 8000, used: 6144),
        testimonies: [Testimony(about: "a", isHeard: true), Testimony(about: "b", isHeard: false)])

    static let bytes: [UInt8] = [
        0x02,  // version
        0x03,  // draining, echo
        0x01, 0x02,  // cluster 258
        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,  // instance
        0, 0, 0, 0, 0, 0, 0, 7,  // sequence
        0, 0, 0, 0, 0x3b, 0x9a, 0xca, 0x00,  // sent at 1 s
        0x00, 0xc8,  // again within 200 ms
        0x03, 0xe8,  // wants one a second
        0, 0, 0, 0, 0, 0, 0, 6,  // echo of 6
        0x00, 0x01, 0x00, 0x01,  // held 65,537 us
        0, 0, 0, 0, 0, 0, 0, 3,  // drain generation
        0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9,  // head 2.9
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2,  // rollup
        0, 0, 0, 0, 0, 0, 0, 5,  // relay set generation
        0, 0, 0x1f, 0x40, 0, 0, 0x18, 0x00,  // of 8,000 it uses 6,144
        2,  // testimonies
        0xaf, 0x63, 0xdc, 0x4c, 0x86, 0x01, 0xec, 0x8c, 1,  // "a" is heard
        0xaf, 0x63, 0xdf, 0x4c, 0x86, 0x01, 0xf1, 0xa5, 0,  // "b" isn't
        3,  // missing inside the overlay
    ]

    @Test("has 98 bytes and 9 a testimony, each where it is documented")
    func layout() throws {
        #expect(Self.beat.encoded == Self.bytes)
        #expect(Self.bytes.count == Heartbeat.encodedLength + 18)
        #expect(try Heartbeat(encoded: Self.bytes) == Self.beat)
    }

    @Test("without an echo it says so")
    func noEcho() throws {
        var beat = Self.beat
        beat.echo = nil
        #expect(try Heartbeat(encoded: beat.encoded) == beat)
    }

    @Test("over a path that isn't planned any more, or out of schedule, it says so in a flag each")
    func flags() throws {
        var beat = Self.beat
        beat.isPlanned = false
        #expect(beat.encoded[1] == 0x0b)
        #expect(try Heartbeat(encoded: beat.encoded) == beat)
        beat.isScheduled = false
        #expect(beat.encoded[1] == 0x0f)
        #expect(try Heartbeat(encoded: beat.encoded) == beat)
    }

    @Test("cut short anywhere, it is refused")
    func truncated() {
        for length in 0..<Self.bytes.count - 1 {
            #expect(throws: DecodingFault.truncated) {
                try Heartbeat(encoded: Self.bytes.prefix(length))
            }
        }
    }

    @Test("a later version may say more, up to 512 bytes")
    func later() throws {
        var bytes = Self.bytes
        bytes[0] = 3
        bytes += [UInt8](repeating: 0xff, count: Heartbeat.encodedMaximum - bytes.count)
        #expect(try Heartbeat(encoded: bytes) == Self.beat)
        #expect(throws: DecodingFault.tooLong("heartbeat")) {
            try Heartbeat(encoded: bytes + [0])
        }
    }

    @Test(
        "values that mean nothing are refused",
        arguments: [
            (0..<1, DecodingFault.unsupportedVersion(0)), (2..<4, .invalid("cluster")),
            (12..<20, .invalid("sequence")), (28..<30, .invalid("interval")),
            (30..<32, .invalid("interval")),
        ])
    func zeros(range: Range<Int>, fault: DecodingFault) {
        var bytes = Self.bytes
        for index in range { bytes[index] = 0 }
        #expect(throws: fault) { try Heartbeat(encoded: bytes) }
    }

    @Test("numbers that don't fit are clamped when written")
    func clamped() throws {
        var beat = Self.beat
        beat.interval = .seconds(100)
        beat.echo?.hold = .seconds(100_000)
        let read = try Heartbeat(encoded: beat.encoded)
        #expect(read.interval == .milliseconds(65_535))
        #expect(read.echo?.hold == .microseconds(4_294_967_295))
    }
}

@Suite("A relay's report on the wire")
struct RelayReportCodingTests {
    static let report = RelayReport(
        relay: "node-1", sequence: 9, instance: 4, isAbstaining: true,
        workload: Workload(capacity: .max, used: 1),
        paths: [
            PathStatus(
                remote: NodeID(cluster: ClusterID(rawValue: 2)!, name: "a.b")!, state: .suspect,
                missed: 2, beats: 0, silence: .milliseconds(430), roundTrip: .microseconds(80_123),
                drain: DrainDeclaration(generation: 1, isDraining: true),
                head: Position(epoch: 1, revision: 77), relaySetGeneration: 3,
                workload: Workload(capacity: 4000, used: 4000), insideMissed: 16),
            PathStatus(
                remote: NodeID(cluster: ClusterID(rawValue: 3)!, name: "c")!, state: .unknown,
                missed: 0, beats: 0, silence: nil, roundTrip: nil, drain: .never, head: .origin,
                relaySetGeneration: 0),
        ])

    @Test("comes back as it went")
    func roundTrip() throws {
        #expect(try RelayReport(encoded: Self.report.encoded) == Self.report)
    }

    @Test("cut short anywhere, it is refused")
    func truncated() throws {
        let bytes = Self.report.encoded
        // Earlier versions end before the overlay's beats: all or none.
        let former = bytes.count - Self.report.paths.count
        for length in 0..<bytes.count where length != former {
            #expect(throws: DecodingFault.self) { try RelayReport(encoded: bytes.prefix(length)) }
        }
        let report = try RelayReport(encoded: bytes.prefix(former))
        #expect(report.paths.allSatisfy { $0.insideMissed == nil })
    }

    @Test("a count that no report can have is refused before anything is reserved for it")
    func count() {
        var bytes = RelayReport(
            relay: "n", sequence: 1, instance: 1, isAbstaining: false, paths: []
        ).encoded
        bytes.replaceSubrange(bytes.count - 4..<bytes.count, with: [0xff, 0xff, 0xff, 0xff])
        #expect(throws: DecodingFault.tooLong("paths")) { try RelayReport(encoded: bytes) }
    }
}
