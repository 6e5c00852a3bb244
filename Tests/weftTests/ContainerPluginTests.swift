// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Glibc
import MeshAdmin
import MeshCNI
import Testing

@testable import weft

@Suite("The CNI plugin's program")
struct ContainerPluginTests {
    @Test(
        "a refusal is what the runtime needs to know of it",
        arguments: [
            (AdminFault.Code.unavailable, CNIError.Code.tryAgainLater),
            (.notFound, .unknownContainer), (.invalidRequest, .invalidConfiguration),
            (.conflict, .refused), (.internalError, .refused),
        ])
    func faults(_ fault: AdminFault.Code, _ code: CNIError.Code) {
        let error = CNIError(AdminFault(fault, "it is so", hint: "do that"))
        #expect(error == CNIError(code, "it is so", details: "do that"))
    }

    @Test("an agent that isn't there may come; a stranger at its socket won't go")
    func unreachable() {
        let missing = CNIError(AdminClientError.unreachable(socket: "/s", reason: "none"))
        #expect(missing.code == .tryAgainLater && missing.message.contains("/s"))
        let late = CNIError(AdminClientError.timedOut(socket: "/s", seconds: 1))
        #expect(late.code == .tryAgainLater)
        #expect(CNIError(AdminClientError.permissionDenied(socket: "/s")).code == .inputOutput)
    }

    @Test("installing puts plugin and network in place, uninstalling takes them away; both twice")
    func install() throws {
        let folder = NSTemporaryDirectory() + "weft-cni-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let folders = ["--plugins", folder, "--networks", folder]
        func files() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        }
        func run(_ words: [String]) throws {
            var command = try Weft.parseAsRoot(["cni"] + words + folders)
            try command.run()
        }
        for _ in 1...2 {
            try run(["install", "--agent-socket", "/run/x.sock"])
            #expect(try files() == ["05-weft.conflist", "weft-cni"])
        }
        let network = folder + "/05-weft.conflist"
        let list = try String(contentsOfFile: network, encoding: .utf8)
        #expect(list.contains("\"/run/x.sock\"") && list.contains("\"weft-cni\""))
        let own = try FileManager.default.attributesOfItem(atPath: "/proc/self/exe")
        #expect(access(folder + "/weft-cni", X_OK) == 0 && own[.size] != nil)

        let other = folder + "/10-other.conflist"
        try #"{"cniVersion":"0.3.1","name":"f","plugins":[{"type":"flannel"}]}"#
            .write(toFile: other, atomically: true, encoding: .utf8)
        try run(["install", "--after", other])
        #expect(try String(contentsOfFile: network, encoding: .utf8).contains("flannel"))
        #expect(throws: Refusal.self) { try run(["install", "--after", network]) }
        #expect(throws: Refusal.self) { try run(["install", "--after", folder + "/none"]) }
        for _ in 1...2 {
            try run(["uninstall"])
            #expect(try files() == ["10-other.conflist"])
        }
    }
}
