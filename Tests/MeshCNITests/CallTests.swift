// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshCNI

/// What a runtime says of a pod's container.
let podEnvironment = [
    "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c0ffee", "CNI_NETNS": "/run/netns/cni-1",
    "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
    "CNI_ARGS":
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=0-1;"
        + "K8S_POD_INFRA_CONTAINER_ID=c0ffee",
]

/// What Debian's bridge plugin made, as a runtime passes it on.
let bridgeResult = """
    {"cniVersion": "1.0.0", "dns": {},
     "interfaces": [{"name": "cni0", "mac": "02:00:00:00:00:01"},
                    {"name": "veth7", "mac": "02:00:00:00:00:02"},
                    {"name": "eth0", "mac": "02:00:00:00:00:03", "sandbox": "/run/netns/cni-1"}],
     "ips": [{"address": "10.1.0.9/24", "gateway": "10.1.0.1", "interface": 2},
             {"address": "fd00:1::9/64", "gateway": "fd00:1::1", "interface": 2}],
     "routes": [{"dst": "0.0.0.0/0", "unheard-of": [1, 2.5, null, true]}]}
    """

func call(
    _ verb: String = "ADD", _ configuration: String = #"{"cniVersion":"1.1.0","name":"weft"}"#,
    _ changes: [String: String?] = [:]
) throws(CNIError) -> CNICall {
    var environment = podEnvironment
    environment["CNI_COMMAND"] = verb
    for (name, value) in changes { environment[name] = value }
    return try CNICall(environment: environment, input: Array(configuration.utf8))
}

private func addition(of call: CNICall) throws -> CNICall.Addition {
    guard case .add(let addition) = call.request else { throw Unexpected() }
    return addition
}

private struct Unexpected: Error {}

@Suite("A call of the CNI plugin")
struct CallTests {
    @Test("names the pod, its container and where it lives")
    func add() throws {
        let call = try MeshCNITests.call()
        let added = try addition(of: call)
        #expect(call.version == .v110)
        #expect(call.agent == CNIAgent(socket: "/run/weft/weft-admin.sock", waitSeconds: 20))
        #expect(added.attachment == CNIAttachment(container: "c0ffee", interface: "eth0"))
        #expect(added.network == "weft" && added.namespacePath == "/run/netns/cni-1")
        #expect(added.workload.object == ObjectName(namespace: "shop", name: "web-0"))
        #expect(added.workload.uid == "0-1" && added.chained == nil)
    }

    @Test("of a container without a pod has the container's name, in the network's namespace")
    func withoutPod() throws {
        let configuration =
            #"{"cniVersion":"1.0.0","name":"n","namespace":"lab","socket":"/s","waitSeconds":3}"#
        let call = try MeshCNITests.call("ADD", configuration, ["CNI_ARGS": nil])
        let workload = try addition(of: call).workload
        #expect(workload.object == ObjectName(namespace: "lab", name: "c0ffee"))
        #expect(workload.uid == nil)
        #expect(call.agent == CNIAgent(socket: "/s", waitSeconds: 3))
        let digits = String(repeating: "0123456789abcdef", count: 4)
        let other = try MeshCNITests.call(
            "ADD", #"{"cniVersion":"1.0.0","name":"n"}"#,
            ["CNI_ARGS": "IgnoreUnknown=1", "CNI_CONTAINERID": digits])
        let long = try addition(of: other).workload.object
        #expect(long.namespace == "default" && long.name.count == 63)
    }

    @Test("behind another plugin has the addresses of its container's interface alone")
    func chained() throws {
        let previous = """
            {"interfaces": [{"name": "eth0"}, {"name": "eth0", "sandbox": "/n"},
                            {"name": "net1", "sandbox": "/n"}],
             "ips": [{"address": "10.1.0.9/24", "interface": 1},
                     {"address": "10.1.0.8/24", "interface": 2},
                     {"address": "fd00::9/64", "interface": 1}, {"address": "10.1.0.7/24"}]}
            """
        let configuration =
            #"{"cniVersion":"0.3.1","name":"n","prevResult":\#(previous)}"#
        let chained = try #require(try addition(of: call("ADD", configuration)).chained)
        #expect(chained.addresses.map(\.description) == ["10.1.0.9", "fd00::9", "10.1.0.7"])
    }

    @Test("asks for what its verb means")
    func verbs() throws {
        let attachment = CNIAttachment(container: "c0ffee", interface: "eth0")
        #expect(
            try call("DEL", #"{"cniVersion":"1.0.0","name":"n"}"#, ["CNI_NETNS": nil]).request
                == .delete(attachment))
        let check = #"{"cniVersion":"0.4.0","name":"n","prevResult":\#(bridgeResult)}"#
        #expect(
            try call("CHECK", check).request
                == .check(
                    attachment,
                    [try #require(Address("10.1.0.9")), try #require(Address("fd00:1::9"))]))
        let garbage = """
            {"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":
             [{"containerID":"c0ffee","ifname":"eth0"}]}
            """
        #expect(
            try call("GC", garbage, ["CNI_CONTAINERID": nil, "CNI_IFNAME": nil]).request
                == .collectGarbage(network: "n", valid: [attachment]))
        #expect(try call("STATUS").request == .status)
        // Asked by runtimes that don't know yet what is spoken here.
        #expect(try call("VERSION", #"{"cniVersion":"9.0.0"}"#).request == .version("9.0.0"))
        #expect(try call("VERSION", "").request == .version("1.1.0"))
    }

    @Test("whose environment is wrong is refused with code 4", arguments: WrongEnvironment.all)
    func environment(_ wrong: WrongEnvironment) {
        let error = #expect(throws: CNIError.self) {
            try call(wrong.verb, #"{"cniVersion":"1.1.0","name":"n"}"#, wrong.changes)
        }
        #expect(error?.code == .invalidEnvironment, "\(wrong)")
        #expect(error?.message.contains(wrong.named) == true, "\(error?.message ?? "")")
    }

    @Test("whose configuration is wrong is refused with its code", arguments: WrongInput.all)
    func configuration(_ wrong: WrongInput) {
        let error = #expect(throws: CNIError.self) { try MeshCNITests.call(wrong.verb, wrong.text) }
        #expect(error?.code == wrong.code, "\(wrong.text.prefix(200)): \(error?.message ?? "")")
    }

    @Test("may be a mebibyte, and not a byte more")
    func bounds() throws {
        func configuration(_ size: Int) -> String {
            let frame = #"{"cniVersion":"1.1.0","name":"n","x":""}"#
            let filling = String(repeating: "x", count: size - frame.utf8.count)
            return #"{"cniVersion":"1.1.0","name":"n","x":"\#(filling)"}"#
        }
        _ = try MeshCNITests.call("ADD", configuration(1 << 20))
        let error = #expect(throws: CNIError.self) {
            try MeshCNITests.call("ADD", configuration(1 << 20 + 1))
        }
        #expect(error?.code == .undecodable)
    }
}

struct WrongEnvironment: Sendable {
    let verb: String
    let changes: [String: String?]
    /// What the sentence must name.
    let named: String

    static let all = [
        WrongEnvironment(verb: "", changes: [:], named: "CNI_COMMAND"),
        WrongEnvironment(verb: "add", changes: [:], named: "'add'"),
        .init(verb: "ADD", changes: ["CNI_CONTAINERID": nil], named: "CNI_CONTAINERID"),
        .init(verb: "ADD", changes: ["CNI_CONTAINERID": "-x"], named: "CNI_CONTAINERID"),
        .init(verb: "DEL", changes: ["CNI_CONTAINERID": "a/../b"], named: "CNI_CONTAINERID"),
        .init(
            verb: "ADD", changes: ["CNI_CONTAINERID": String(repeating: "a", count: 254)],
            named: "CNI_CONTAINERID"),
        .init(verb: "ADD", changes: ["CNI_NETNS": ""], named: "CNI_NETNS"),
        .init(verb: "CHECK", changes: ["CNI_NETNS": nil], named: "CNI_NETNS"),
        .init(verb: "ADD", changes: ["CNI_NETNS": "netns/x"], named: "CNI_NETNS"),
        .init(verb: "ADD", changes: ["CNI_IFNAME": nil], named: "CNI_IFNAME"),
        .init(verb: "DEL", changes: ["CNI_IFNAME": ".."], named: "CNI_IFNAME"),
        .init(verb: "ADD", changes: ["CNI_IFNAME": "eth0/1"], named: "CNI_IFNAME"),
        .init(verb: "ADD", changes: ["CNI_IFNAME": "sixteen-letters-"], named: "CNI_IFNAME"),
        .init(verb: "ADD", changes: ["CNI_ARGS": "K8S_POD_NAME"], named: "KEY=VALUE"),
        .init(verb: "ADD", changes: ["CNI_ARGS": "K8S_POD_NAME=web"], named: "K8S_POD_NAMESPACE"),
        .init(
            verb: "ADD", changes: ["CNI_ARGS": "K8S_POD_NAMESPACE=a.b;K8S_POD_NAME=web"],
            named: "K8S_POD_NAMESPACE"),
        .init(
            verb: "ADD",
            changes: ["CNI_ARGS": "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=/etc"],
            named: "K8S_POD_UID"),
        .init(
            verb: "ADD", changes: ["CNI_ARGS": nil, "CNI_CONTAINERID": "a_b"], named: "CNI_ARGS"),
        .init(
            verb: "ADD", changes: ["CNI_ARGS": "A=" + String(repeating: "x", count: 16 << 10)],
            named: "CNI_ARGS"),
    ]
}

struct WrongInput: Sendable {
    let verb: String
    let text: String
    let code: CNIError.Code

    private init(_ code: CNIError.Code, _ text: String, _ verb: String = "ADD") {
        (self.verb, self.text, self.code) = (verb, text, code)
    }

    private static func chained(_ code: CNIError.Code, _ result: String) -> WrongInput {
        WrongInput(code, #"{"cniVersion":"1.0.0","name":"n","prevResult":\#(result)}"#)
    }

    static let all = [
        WrongInput(.undecodable, ""), WrongInput(.undecodable, "{"), WrongInput(.undecodable, "[]"),
        WrongInput(.undecodable, #"{"cniVersion":1,"name":"n"}"#),
        WrongInput(.undecodable, String(repeating: "[", count: 100_000)),
        WrongInput(.incompatibleVersion, #"{"name":"n"}"#),
        WrongInput(.incompatibleVersion, #"{"cniVersion":"0.2.0","name":"n"}"#),
        WrongInput(.incompatibleVersion, #"{"cniVersion":"2.0.0","name":"n"}"#),
        WrongInput(.incompatibleVersion, #"{"cniVersion":"0.3.1","name":"n"}"#, "CHECK"),
        WrongInput(.incompatibleVersion, #"{"cniVersion":"1.0.0","name":"n"}"#, "GC"),
        WrongInput(.incompatibleVersion, #"{"cniVersion":"1.0.0","name":"n"}"#, "STATUS"),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0"}"#),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":"-"}"#),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":7}"#, "DEL"),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":"n","socket":"s"}"#),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":"n","socket":1}"#),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":"n","waitSeconds":0}"#),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":"n","waitSeconds":"9"}"#),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":"n","namespace":"A"}"#),
        WrongInput(
            .unsupportedField,
            #"{"cniVersion":"1.0.0","name":"n","ipam":{"type":"host-local"}}"#),
        chained(.undecodable, "7"), chained(.undecodable, #"{"ips":{}}"#),
        chained(.invalidConfiguration, "{}"),
        chained(.invalidConfiguration, #"{"interfaces":[{"name":"eth0"}]}"#),
        chained(
            .invalidConfiguration,
            #"{"interfaces":[{"name":"eth0","sandbox":"/n"}],"ips":[]}"#),
        chained(.undecodable, #"{"ips":[{"address":"10.1.0.9"}]}"#),
        chained(.undecodable, #"{"ips":[{"address":"ten/8"}]}"#),
        chained(
            .undecodable,
            #"{"ips":[\#(repeatElement("{}", count: 65).joined(separator: ","))]}"#),
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.0.0","name":"n"}"#, "CHECK"),
        // Without a list everything would be garbage.
        WrongInput(.invalidConfiguration, #"{"cniVersion":"1.1.0","name":"n"}"#, "GC"),
        WrongInput(
            .undecodable,
            #"{"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":[{"ifname":"e"}]}"#, "GC"
        ),
    ]
}
