// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Netlink

@Suite(.tags(.kernel)) struct BlackholeRuleTests {
    @Test("rules are added once, and all of an address deleted together, and again")
    func rules() throws {
        try withNamespaces(1) { namespaces in
            var socket = try RouteSocket(in: namespaces[0])
            func address(_ text: String) throws -> NetworkAddress {
                try #require(NetworkAddress(text))
            }
            let rules = [
                BlackholeRule(to: try address("10.1.1.2"), port: 4789, priority: 1),
                BlackholeRule(to: try address("10.1.1.2"), port: 8472, priority: 1),
                BlackholeRule(to: try address("10.1.1.3"), port: 4789, priority: 1),
            ]
            for rule in rules { try socket.add(rule) }
            let error = #expect(throws: NetlinkError.self) { try socket.add(rules[0]) }
            #expect(error?.code == .exists)
            for _ in 0..<2 { try socket.deleteRules(to: rules[0].destination, priority: 1) }
            for rule in rules.prefix(2) { try socket.add(rule) }
            let third = #expect(throws: NetlinkError.self) { try socket.add(rules[2]) }
            #expect(third?.code == .exists, "the other address keeps its own")
        }
    }
}
