// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshModel
import Testing

@testable import weft

@Suite("Command line")
struct CommandTests {
    @Test(
        "every command has help that tells what it is for",
        arguments: [
            [], ["status"], ["cluster", "list"], ["node", "list"], ["node", "leave"],
            ["node", "rejoin"], ["node", "keys"], ["node", "rotate-key"], ["service", "list"],
            ["service", "get"], ["endpoint", "list"], ["endpoint", "attach"],
            ["endpoint", "detach"], ["identity", "list"], ["flows"], ["drops"], ["bpf", "maps"],
            ["bpf", "services"], ["bpf", "conntrack"], ["config", "check"], ["config", "show"],
            ["config", "keys"], ["drain"], ["agent"], ["ca", "init"],
            ["ca", "issue"], ["ca", "request"], ["ca", "install"], ["ca", "renew"],
            ["ca", "verify"], ["ca", "status"], ["ca", "log"], ["ca", "deny"], ["ca", "allow"],
            ["ca", "denied"], ["ca", "rotate"], ["why"],
            ["join", "token"], ["join", "tokens"], ["join", "tokens", "revoke"],
            ["cluster", "accept"], ["cluster", "forget"], ["cluster", "introducers"],
            ["lab"], ["lab", "up"], ["lab", "down"], ["lab", "list"], ["lab", "logs"],
            ["lab", "exec"], ["lab", "kill"], ["lab", "revive"], ["lab", "drain"],
            ["lab", "cut"], ["lab", "mend"], ["lab", "freeze"], ["lab", "thaw"],
            ["connectivity", "test"], ["connectivity", "serve"], ["completion"],
            ["lab", "demo"], ["lab", "serve"], ["lab", "load"],
        ])
    func help(words: [String]) throws {
        let error = try #require(throws: (any Error).self) {
            var command = try Weft.parseAsRoot(words + ["--help"])
            try command.run()
        }
        #expect(Weft.exitCode(for: error) == .success)
        let text = Weft.fullMessage(for: error)
        #expect(text.contains("OVERVIEW: "))
        #expect(text.contains("USAGE: weft"))
        if words.isEmpty { #expect(text.contains("Exit codes: 0 done; 1")) }
    }

    @Test("failures have their exit codes")
    func exitCodes() throws {
        let usage = try #require(throws: (any Error).self) { try Weft.parseAsRoot(["sttaus"]) }
        #expect(Entry.report(usage) == ExitCode(2))
        let unreachable = AdminClientError.unreachable(socket: "/none", reason: "not there")
        #expect(Entry.report(unreachable) == ExitCode(3))
        #expect(Entry.report(AdminClientError.permissionDenied(socket: "/none")) == ExitCode(1))
        #expect(Entry.report(AdminFault(.notFound, "there is none")) == ExitCode(1))
        #expect(Entry.report(ExitCode(42)) == ExitCode(42))
    }

    @Test(
        "objects are a namespace and a name, or a name",
        arguments: [
            ("shop/web", ObjectName(namespace: "shop", name: "web")),
            ("web.v2", ObjectName(namespace: "default", name: "web.v2")),
            ("a/b/c", nil), ("", nil), ("/web", nil), ("Shop/web", nil), ("shop/we b", nil),
        ] as [(String, ObjectName?)])
    func objects(text: String, object: ObjectName?) {
        #expect(ObjectArgument(argument: text)?.object == object)
    }

    @Test("attach takes labels and addresses")
    func attach() throws {
        let command = try #require(
            try Weft.parseAsRoot([
                "endpoint", "attach", "shop/web-0", "--netns", "/run/netns/web", "--label",
                "app=web", "--label", "tier=a=b", "--address", "10.1.0.9", "--socket",
                "/tmp/weft.sock", "-o", "json",
            ]) as? EndpointCommand.Attach)
        #expect(command.labels.map(\.key) == ["app", "tier"])
        #expect(command.labels.map(\.value) == ["web", "a=b"])
        #expect(command.addresses == ["10.1.0.9"])
        #expect(command.output.output == .json)
        #expect(command.agent.administration.socketPath == "/tmp/weft-admin.sock")
        #expect(command.agent.reading.socketPath == "/tmp/weft.sock")
    }

    @Test("a socket of another name is used for everything")
    func socketNames() {
        #expect(administrationSocketPath(beside: "/run/x/weft.sock") == "/run/x/weft-admin.sock")
        #expect(administrationSocketPath(beside: "/run/myweft.sock") == "/run/myweft.sock")
        #expect(administrationSocketPath(beside: "weft.sock") == "weft-admin.sock")
    }
}
