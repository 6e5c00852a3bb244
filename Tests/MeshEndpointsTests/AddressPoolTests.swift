// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshEndpoints

@Suite struct AddressPoolTests {
    @Test(
        "the lowest free address of each family is handed out",
        arguments: [
            (["10.1.1.0/24", "fd00::/64"], [], ["10.1.1.2", "fd00::2"]),
            (["fd00::/64", "10.1.1.0/24"], ["10.1.1.2", "fd00::3"], ["10.1.1.3", "fd00::2"]),
            (["10.1.1.0/24"], ["10.1.1.3"], ["10.1.1.2"]),
            (["10.1.1.0/30", "10.1.2.0/30"], ["10.1.1.2"], ["10.1.2.2"]),
            (["10.1.1.7/32"], [], ["10.1.1.7"]),
            (["fd00::/32"], ["fd00::2"], ["fd00::3"]),
        ] as [([String], [String], [String])])
    func allocation(_ prefixes: [String], _ inUse: [String], _ expected: [String]) throws {
        let pool = AddressPool(prefixes: try prefixes.map { try #require(Prefix($0)) })
        let results = pool.allocate(inUse: Set(inUse.compactMap { Address($0) }))
        #expect(try results.map { try $0.get().description } == expected)
    }

    @Test("a full prefix is named")
    func exhaustion() throws {
        let pool = AddressPool(prefixes: [try #require(Prefix("10.1.1.0/30"))])
        let result = pool.allocate(inUse: [try #require(Address("10.1.1.2"))])
        let error = #expect(throws: AddressPool.Exhausted.self) {
            try result.map { try $0.get() }
        }
        #expect(error?.prefixes.map(\.description) == ["10.1.1.0/30"])
    }

    @Test(
        "what is outside, the network's, the node's and the broadcast address aren't offered",
        arguments: [
            ("10.1.1.2", true), ("10.1.1.254", true), ("10.1.1.255", false), ("10.1.1.0", false),
            ("10.1.1.1", false), ("10.1.2.2", false), ("fd00::1", false), ("fd00::2", true),
            ("fd00::ffff:ffff:ffff:ffff", true), ("fd00:0:0:1::2", false),
        ])
    func offering(_ address: String, _ isOffered: Bool) throws {
        let pool = AddressPool(
            prefixes: [
                try #require(Prefix("10.1.1.0/24")), try #require(Prefix("fd00::/64")),
            ])
        #expect(pool.offers(try #require(Address(address))) == isOffered)
    }
}
