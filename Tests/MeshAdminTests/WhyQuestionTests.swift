// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@Suite("Questions about flows")
struct WhyQuestionTests {
    @Test(
        "a destination may have its port behind it",
        arguments: [
            ("shop/web", "shop/web", nil),
            ("shop/web:80", "shop/web", .port(transport: "TCP", number: 80)),
            ("web:80", "web", .port(transport: "TCP", number: 80)),
            ("beta:shop/dns:53/udp", "beta:shop/dns", .port(transport: "UDP", number: 53)),
            ("beta:shop/dns", "beta:shop/dns", nil),
            ("beta:dns", "beta:dns", nil),
            ("shop/web:icmp", "shop/web", .icmp),
            ("10.96.0.7", "10.96.0.7", nil),
            ("10.96.0.7:9000/SCTP", "10.96.0.7", .port(transport: "SCTP", number: 9000)),
            ("fd00::7", "fd00::7", nil),
            ("fd00::7:80", "fd00::7:80", nil),
            ("[fd00::7]:80", "fd00::7", .port(transport: "TCP", number: 80)),
            ("[fd00::7]", "fd00::7", nil),
        ] as [(String, String, WhyQuestion.Traffic?)])
    func destinations(text: String, name: String, traffic: WhyQuestion.Traffic?) throws {
        let question = try WhyQuestion(from: "a", to: text, traffic: nil)
        #expect(question.destination == name)
        #expect(question.traffic == traffic)
    }

    @Test("the port may stand alone, and only once")
    func port() throws {
        let question = try WhyQuestion(from: "a", to: "shop/web", traffic: "53/udp")
        #expect(question.traffic == .port(transport: "UDP", number: 53))
        #expect(throws: AdminFault.self) {
            try WhyQuestion(from: "a", to: "shop/web:80", traffic: "80")
        }
    }

    @Test(
        "what names no flow is refused with what to write",
        arguments: [
            ("", "b", nil), ("a", "", nil), ("a", "b:0", nil), ("a", "b:70000", nil),
            ("a", "b", "http"), ("a", "b", "80/quic"), ("a", "b", "80/tcp/x"), ("a", "b", ""),
        ] as [(String, String, String?)])
    func refused(source: String, destination: String, traffic: String?) throws {
        let fault = try #require(throws: AdminFault.self) {
            try WhyQuestion(from: source, to: destination, traffic: traffic)
        }
        #expect(fault.code == .invalidRequest && fault.hint != nil)
    }

    @Test("policies are asked for the backend's port, and for a ping")
    func trace() {
        let traffic = WhyQuestion.Traffic.port(transport: "UDP", number: 53)
        #expect(traffic.trace(port: 5353) == "5353/udp")
        #expect(traffic.trace(port: nil) == "53/udp")
        #expect(WhyQuestion.Traffic.icmp.trace(port: nil) == "icmp")
    }
}
