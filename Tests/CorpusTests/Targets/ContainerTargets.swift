// SPDX-License-Identifier: Apache-2.0

import MeshModel

@testable import MeshCNI

/// A call of the CNI plugin: its environment in lines of NAME=VALUE, an empty line, its input.
let containerTargets: [FuzzTarget] = [
    FuzzTarget("cni") {
        calls.map { Array($0.utf8) }
    } check: { bytes in
        let (environment, input) = parts(of: bytes)
        let call: CNICall
        do throws(CNIError) {
            call = try CNICall(environment: environment, input: input)
        } catch {
            let document = error.document(version: CNICall.version(of: input))
            try demand((try? JSONValue(document))?["code"] != nil, "an error that is no JSON")
            return
        }
        guard case .add(let addition) = call.request else { return }
        let attachment = addition.attachment
        try demand((1...15).contains(attachment.interface.utf8.count), attachment.interface)
        try demand(!attachment.container.contains("/"), attachment.container)
        let object = addition.workload.object
        try demand(isLabel(object.namespace) && isSubdomain(object.name), "\(object)")
        try demand(addition.namespacePath.hasPrefix("/"), addition.namespacePath)
        let made = CNIInterface(hostInterface: "h", hardwareAddress: "m", mtu: 1, assignments: [])
        let result = try JSONValue(addition.result(made, version: call.version))
        try demand(result["cniVersion"]?.text == call.version.rawValue, "another version")
        if let chained = addition.chained {
            try demand((1...64).contains(chained.addresses.count), "\(chained.addresses.count)")
        }
    }
]

private func parts(of bytes: [UInt8]) -> (environment: [String: String], input: [UInt8]) {
    var environment: [String: String] = [:]
    var rest = bytes[...]
    while !rest.isEmpty {
        let line = rest.prefix { $0 != UInt8(ascii: "\n") }
        rest = rest.dropFirst(line.count + 1)
        if line.isEmpty { break }
        let name = line.prefix { $0 != UInt8(ascii: "=") }
        environment[String(decoding: name, as: UTF8.self)] = String(
            decoding: line.dropFirst(name.count + 1), as: UTF8.self)
    }
    return (environment, Array(rest))
}

private let calls = [
    """
    CNI_COMMAND=ADD
    CNI_CONTAINERID=c0ffee
    CNI_IFNAME=eth0
    CNI_NETNS=/run/netns/n
    CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=0-1

    {"cniVersion":"1.1.0","name":"n","socket":"/s","waitSeconds":9,"namespace":"d","dns":{"x":[1.5]}}
    """,
    """
    CNI_COMMAND=ADD
    CNI_CONTAINERID=a.b-c
    CNI_IFNAME=eth0
    CNI_NETNS=/n

    {"cniVersion":"0.3.1","name":"n","prevResult":{"interfaces":[{"name":"eth0","sandbox":"/n"}],
     "ips":[{"address":"10.1.0.9/24","interface":0},{"address":"fd00::9/64"}]}}
    """,
    """
    CNI_COMMAND=GC

    {"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":[{"containerID":"c","ifname":"e"}]}
    """,
    "CNI_COMMAND=VERSION\n\n{\"cniVersion\":\"1.0.0\"}",
]
