// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@Suite("An address")
struct AddressTests {
    @Test(
        "parses every spelling and prints the canonical one",
        arguments: [
            ("0.0.0.0", "0.0.0.0"),
            ("10.0.0.1", "10.0.0.1"),
            ("255.255.255.255", "255.255.255.255"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::ffff:0a00:0001", "10.0.0.1"),
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("2001:DB8::1", "2001:db8::1"),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:0db8:0000:0001:0000:0000:0000:0001", "2001:db8:0:1::1"),
            // RFC 5952 §4.2.3: of two equal runs of zeros the first is shortened.
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            // §4.2.2: a single zero is not shortened.
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ])
    func canonical(text: String, expected: String) throws {
        let address = try #require(Address(text))
        #expect(address.description == expected)
        #expect(Address(expected) == address)
        #expect(Address(bytes: address.bytes) == address)
    }

    @Test(
        "refuses what is no address",
        arguments: [
            "", ".", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "+1.2.3.4",
            "1.2.3.-4", "1..2.3", "0x1.2.3.4", "١.2.3.4", ":", ":::", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1.2.3", "::1.2.3.4:5",
            "fe80::1%eth0",
            "[::1]", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", ":1:2:3:4:5:6:7:8",
            "1.2.3.4::", String(repeating: "1", count: 46),
        ])
    func invalid(text: String) {
        #expect(Address(text) == nil)
    }

    @Test("takes 4 or 16 bytes in network byte order and no other number of them")
    func bytes() {
        #expect(Address(bytes: [10, 0, 0, 1]) == Address(ipv4: 0x0a00_0001))
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]
        #expect(Address(ipv4: 0x0a00_0001).bytes == mapped)
        #expect(Address(bytes: [1, 2, 3]) == nil)
        #expect(Address(bytes: mapped + [0]) == nil)
    }

    @Test("sorts as its bytes do, and counts on across the low half")
    func order() throws {
        let low = try #require(Address("fd00::ffff:ffff:ffff:ffff"))
        let high = try #require(Address("fd00:0:0:1::"))
        #expect(low < high)
        #expect(low.advanced(by: 1) == high)
        #expect(Address(high: ~0, low: ~0).advanced(by: 1) == .unspecified)
    }

    @Test("knows its family; an IPv4-compatible address is IPv6")
    func family() throws {
        #expect(Address("10.0.0.1")?.ipv4 == 0x0a00_0001)
        #expect(Address("::10.0.0.1")?.isIPv4 == false)
        #expect(Address.unspecified.isIPv4 == false)
    }
}

@Suite("A prefix")
struct PrefixTests {
    @Test(
        "parses, clears host bits and prints",
        arguments: [
            ("10.1.2.3/16", "10.1.0.0/16", 112),
            ("10.1.2.3", "10.1.2.3/32", 128),
            ("0.0.0.0/0", "0.0.0.0/0", 96),
            ("fd00:1::5/64", "fd00:1::/64", 64),
            ("::/0", "::/0", 0),
            ("2001:db8::1/127", "2001:db8::/127", 127),
        ] as [(String, String, UInt8)])
    func canonical(text: String, expected: String, length: UInt8) throws {
        let prefix = try #require(Prefix(text))
        #expect(prefix.description == expected)
        #expect(prefix.length == length)
    }

    @Test(
        "refuses what is no prefix",
        arguments: [
            "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8",
            "10.0.0/8", "::/129", "::/1000", "fd00::/٣",
        ])
    func invalid(text: String) {
        #expect(Prefix(text) == nil)
    }

    @Test(
        "contains and overlaps as the bits say",
        arguments: [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "fd00::1", false),
            ("::/0", "10.0.0.1", true),
            ("fd00::/64", "fd00::ffff:1", true),
            ("fd00::/65", "fd00::8000:0:0:0", false),
        ])
    func contains(prefix: String, address: String, expected: Bool) throws {
        let prefix = try #require(Prefix(prefix))
        let address = try #require(Address(address))
        #expect(prefix.contains(address) == expected)
        #expect(prefix.overlaps(Prefix(address)) == expected)
        #expect(Prefix(address).overlaps(prefix) == expected)
    }
}
