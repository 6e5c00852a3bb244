// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshCNI

@Suite("A result of the CNI plugin")
struct ResultTests {
    private func result(_ configuration: String) throws -> JSONValue {
        let call = try MeshCNITests.call("ADD", configuration)
        guard case .add(let addition) = call.request else { throw Unexpected() }
        let made = CNIInterface(
            hostInterface: "weft0", hardwareAddress: "02:00:00:00:00:07", mtu: 1450,
            assignments: [
                .init(
                    address: try #require(Address("10.1.0.2")),
                    gateway: try #require(Address("169.254.1.1"))),
                .init(
                    address: try #require(Address("fd00:1::2")),
                    gateway: try #require(Address("fe80::1"))),
            ])
        return try JSONValue(addition.result(made, version: call.version))
    }

    private struct Unexpected: Error {}

    @Test("says both ends, the addresses and the way out, in the words of its version")
    func primary() throws {
        let newest = try result(
            #"{"cniVersion":"1.1.0","name":"n","dns":{"nameservers":["10.96.0.10"]}}"#)
        let expected = """
            {"cniVersion": "1.1.0",
             "interfaces": [
               {"name": "weft0", "mtu": 1450},
               {"name": "eth0", "mtu": 1450, "mac": "02:00:00:00:00:07",
                "sandbox": "/run/netns/cni-1"}],
             "ips": [
               {"address": "10.1.0.2/32", "gateway": "169.254.1.1", "interface": 1},
               {"address": "fd00:1::2/128", "gateway": "fe80::1", "interface": 1}],
             "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}, {"dst": "::/0", "gw": "fe80::1"}],
             "dns": {"nameservers": ["10.96.0.10"]}}
            """
        #expect(newest == (try JSONValue(Array(expected.utf8))))

        let former = try result(#"{"cniVersion":"1.0.0","name":"n"}"#)
        #expect(former["interfaces"]?.elements?.allSatisfy { $0["mtu"] == nil } == true)
        #expect(former["ips"]?.elements?.allSatisfy { $0["version"] == nil } == true)
        #expect(former["dns"] == .object([:]))

        let oldest = try result(#"{"cniVersion":"0.3.1","name":"n"}"#)
        #expect(oldest["ips"]?.elements?.map { $0["version"]?.text } == ["4", "6"])
        #expect(oldest["cniVersion"]?.text == "0.3.1")
    }

    @Test("of a plugin before is passed on with all that it says")
    func chained() throws {
        let passed = try result(
            #"{"cniVersion":"1.0.0","name":"n","prevResult":\#(bridgeResult)}"#)
        #expect(passed == (try JSONValue(Array(bridgeResult.utf8))))
    }

    @Test("that is an error has the configuration's version, a code and a sentence")
    func failure() throws {
        let error = CNIError(.tryAgainLater, "no agent answers", details: "start it")
        let document = try JSONValue(error.document(version: .v040))
        #expect(
            document
                == .object([
                    "cniVersion": .string("0.4.0"), "code": .integer(11),
                    "msg": .string("no agent answers"), "details": .string("start it"),
                ]))
        #expect(CNICall.version(of: Array(#"{"cniVersion":"0.4.0"}"#.utf8)) == .v040)
        #expect(CNICall.version(of: Array("{".utf8)) == nil)
        let short = try JSONValue(CNIError(.refused, "no").document(version: nil))
        #expect(short["cniVersion"]?.text == "1.1.0" && short["details"] == nil)
    }

    @Test("of VERSION names all that are spoken")
    func versions() throws {
        let answer = try JSONValue(CNICall.versions(requested: "1.0.0"))
        #expect(answer["cniVersion"]?.text == "1.0.0")
        #expect(
            answer["supportedVersions"]?.elements?.map(\.text) == [
                "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
            ])
    }
}

@Suite("A list of CNI plugins")
struct NetworkListTests {
    @Test("of Weft alone is one that every runtime reads")
    func primary() throws {
        let list = try JSONValue(CNINetworkList.primary(socket: "/s"))
        #expect(list["cniVersion"]?.text == "1.0.0" && list["name"]?.text == "weft")
        #expect(list["cniVersions"]?.elements?.map(\.text) == ["1.0.0", "1.1.0"])
        let plugin = try #require(list["plugins"]?.elements?.first)
        #expect(plugin["type"]?.text == "weft-cni" && plugin["socket"]?.text == "/s")
    }

    @Test("of others gets this plugin at its end, once")
    func chained() throws {
        let others = #"{"cniVersion":"0.3.1","name":"f","x":[1],"plugins":[{"type":"flannel"}]}"#
        let bytes = try CNINetworkList.chained(after: Array(others.utf8), socket: nil)
        let list = try JSONValue(bytes)
        #expect(
            list["plugins"]?.elements == [
                .object(["type": .string("flannel")]), .object(["type": .string("weft-cni")]),
            ])
        #expect(list["name"]?.text == "f" && list["x"] == .array([.integer(1)]))
        let error = #expect(throws: CNIError.self) {
            try CNINetworkList.chained(after: bytes, socket: nil)
        }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test(
        "that is none is refused",
        arguments: ["", "[]", "{}", #"{"plugins":[]}"#, #"{"plugins":7}"#])
    func wrong(_ text: String) {
        let error = #expect(throws: CNIError.self) {
            try CNINetworkList.chained(after: Array(text.utf8), socket: nil)
        }
        #expect(error?.code == .undecodable)
    }
}
