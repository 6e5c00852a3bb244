// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Netlink

@Suite struct MessageTests {
    @Test("a message is its header, its fixed part and its padded attributes")
    func writing() {
        var message = MessageWriter(type: 16, flags: 0x600)
        message.append(UInt32(7))
        message.attribute(3, "eth0")
        message.nest(18) { $0.attribute(1, UInt8(5)) }
        #expect(
            message.finished(sequence: 9) == [
                44, 0, 0, 0, 16, 0, 0x01, 0x06, 9, 0, 0, 0, 0, 0, 0, 0,  // header
                7, 0, 0, 0,  // fixed part
                9, 0, 3, 0, 101, 116, 104, 48, 0, 0, 0, 0,  // name, zero, padding
                12, 0, 18, 0, 5, 0, 1, 0, 5, 0, 0, 0,  // nest
            ])
    }

    @Test("what was written is read again")
    func reading() throws {
        var message = MessageWriter(type: 16)
        message.attribute(3, "eth0")
        message.nest(18) { $0.attribute(1, UInt32(5)) }
        let bytes = message.finished(sequence: 9)
        let read = try #require(Message.split((bytes + bytes)[...]))
        #expect(read.count == 2)
        #expect(read[1].type == 16 && read[1].sequence == 9)
        let attributes = try #require(Attributes(read[1].payload))
        #expect(attributes.text(3) == "eth0")
        #expect(attributes.nest(18)?.number(1, as: UInt32.self) == 5)
    }

    @Test(
        "a datagram whose lengths lie is rejected whole",
        arguments: [
            ("shorter than a header", [UInt8](repeating: 1, count: 15)),
            ("length zero", [UInt8](repeating: 0, count: 16)),
            ("length past the end", [17, 0, 0, 0] + [UInt8](repeating: 0, count: 12)),
            ("length of 4 GiB", [255, 255, 255, 255] + [UInt8](repeating: 0, count: 12)),
        ])
    func malformedDatagram(_ name: String, _ bytes: [UInt8]) {
        #expect(Message.split(bytes[...]) == nil, "\(name)")
    }

    @Test(
        "attributes whose lengths lie are rejected",
        arguments: [
            [3, 0, 1, 0], [9, 0, 1, 0, 1, 1, 1, 1], [8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
            as [[UInt8]])
    func malformedAttributes(_ bytes: [UInt8]) {
        #expect(Attributes(bytes[...]) == nil)
    }

    @Test("an attribute that is too short for its number reads as absent")
    func shortNumber() throws {
        let attributes = try #require(Attributes([6, 0, 1, 0, 1, 1, 0, 0][...]))
        #expect(attributes.number(1, as: UInt32.self) == nil)
        #expect(attributes.number(1, as: UInt16.self) == 0x0101)
    }

    @Test(
        "addresses are read and written as people write them",
        arguments: ["10.0.0.1", "fe80:0:0:0:0:0:0:1"])
    func addresses(_ text: String) {
        #expect(NetworkAddress(text)?.description == text)
    }

    @Test(
        "hardware addresses are six pairs of hexadecimal digits",
        arguments: [
            ("02:00:00:0a:ff:01", true), ("02:00:00:0a:ff", false), ("2:0:0:a:ff:1", false),
        ]
    )
    func hardwareAddresses(_ text: String, _ valid: Bool) {
        #expect(HardwareAddress(text)?.description == (valid ? text : nil))
    }
}
