// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import MeshAdmin

@Suite("Endpoints in lines")
struct EndpointLinesTests {
    /// Two clusters, a node of each and another one, two sets of labels, two families.
    private let endpoints = (0..<60).map(Self.endpoint)

    private static func endpoint(_ number: Int) -> EndpointStatus {
        let cluster = number < 30 ? ("alpha", 1) : ("beta", 2)
        let addresses = number % 5 == 0 ? ["10.0.0.\(number)", "fd00::\(number)"] : []
        let state: Realisation = number == 31 ? .error : number % 11 == 0 ? .pending : .done
        return EndpointStatus(
            namespace: number % 7 == 0 ? "shop" : "default", name: "web-\(number)",
            cluster: ClusterReference(name: cluster.0, id: UInt16(cluster.1)),
            node: number % 30 < 10 ? "a" : "b", isLocal: number < 10, addresses: addresses,
            identity: UInt32(number % 3),
            // An identity that is being changed has two.
            labels: number == 40 ? [:] : ["app": "app-\(number % 3)"],
            interface: number < 10 ? "weft\(number)" : nil, state: state,
            reason: number == 31 ? "the map is full" : nil)
    }

    @Test("say all that rows say, in their order")
    func roundTrip() throws {
        let lines = try #require(EndpointLines(endpoints))
        let read = try JSONDecoder().decode(
            EndpointLines.self, from: Data(try adminJSON(lines)))
        #expect(read == lines)
        #expect(read.endpoints == endpoints)
        #expect(EndpointLines([])?.endpoints == [])
    }

    @Test("say once what many rows have in common")
    func sharing() throws {
        let lines = try #require(EndpointLines(endpoints))
        #expect(lines.groups.count == 4)
        #expect(lines.namespaces == ["shop", "default"])
        // One more since identity 1 had another set meanwhile.
        #expect(lines.labels.count == 5)
        let many = (0..<1000).flatMap { _ in endpoints.prefix(10) }
        let bytes = (
            lines: try adminJSON(EndpointLines(many)).count, rows: try adminJSON(many).count
        )
        #expect(bytes.lines * 3 < bytes.rows)
    }

    @Test(
        "aren't made of what would be taken for something else",
        arguments: ["web 1", "web\n1", ""])
    func separators(text: String) {
        var endpoint = EndpointStatus.fixture
        endpoint.name = text
        #expect(EndpointLines([endpoint]) == nil)
        endpoint = .fixture
        endpoint.addresses = [text]
        #expect(EndpointLines([endpoint]) == nil)
        endpoint.addresses = ["10.0.0.1,10.0.0.2"]
        #expect(EndpointLines([endpoint]) == nil)
    }

    @Test(
        "that make no sense are no answer",
        arguments: [
            (#"web-0 "#, #"web-0  "#), (#" 0 0 0\n"#, #" 0 0\n"#), (#" 0 0 0\n"#, #" 0 2 0\n"#),
            (#" 0 0 0\n"#, #" 0 0 5\n"#), (#" 0 0 0\n"#, #" 0 0 -1\n"#),
            (#" 0 0 0\n"#, #" 4294967296 0 0\n"#), (#" 0 0 0\n"#, #" 0 0 0 0\n"#),
        ])
    func misfits(part: String, replacement: String) throws {
        let lines = try #require(EndpointLines(endpoints))
        let text = String(decoding: try adminJSON(lines), as: UTF8.self)
        let wrong = text.replacing(part, with: replacement, maxReplacements: 1)
        #expect(wrong != text)
        let read = try JSONDecoder().decode(EndpointLines.self, from: Data(wrong.utf8))
        #expect(read.endpoints == nil)
    }
}
