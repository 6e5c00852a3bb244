// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Netlink

@Suite(.tags(.kernel)) struct NamespaceTests {
    @Test("a named namespace appears, refuses a second of its name, and goes")
    func lifecycle() throws {
        let made = try TestNamespace()
        #expect(try NetworkNamespace.names().contains(made.name))
        #expect(try NetworkNamespace(named: made.name).id() == made.namespace.id())
        let error = #expect(throws: NetlinkError.self) {
            try NetworkNamespace.create(named: made.name)
        }
        #expect(error?.code == .exists)
        try NetworkNamespace.delete(named: made.name)
        try NetworkNamespace.delete(named: made.name)
        #expect(try !NetworkNamespace.names().contains(made.name))
    }

    @Test("work in a namespace leaves the caller's thread where it was")
    func running() throws {
        try withNamespaces(1) { namespaces in
            let before = try NetworkNamespace.current().id()
            let inside = try namespaces[0].run { try NetworkNamespace.current().id() }
            #expect(try inside == namespaces[0].id())
            #expect(try NetworkNamespace.current().id() == before)
        }
    }

    @Test("what the work throws reaches the caller")
    func failing() throws {
        struct Fault: Error {}
        try withNamespaces(1) { namespaces in
            #expect(throws: Fault.self) { try namespaces[0].run { throw Fault() } }
        }
    }

    @Test(
        "a path that is no network namespace is refused",
        arguments: ["/dev/null", "/proc/self/ns/mnt"])
    func wrongFile(_ path: String) {
        let error = #expect(throws: NetlinkError.self) { try NetworkNamespace(path: path) }
        #expect(error?.code == .invalid)
    }

    @Test("a namespace that isn't there is named in the error")
    func missing() {
        let error = #expect(throws: NetlinkError.self) { try NetworkNamespace(named: "nowhere") }
        #expect(error?.code == .notFound)
        #expect(error?.operation.contains("/run/netns/nowhere") == true)
    }

    @Test("a name that would leave the directory is refused", arguments: ["", "..", "a/b"])
    func badName(_ name: String) {
        let error = #expect(throws: NetlinkError.self) {
            try NetworkNamespace.create(named: name)
        }
        #expect(error?.code == .invalid)
    }

    @Test("a sysctl is written in its namespace only")
    func sysctl() throws {
        try withNamespaces(2) { namespaces in
            try namespaces[0].setSysctl("net.ipv4.ip_forward", to: "1")
            try namespaces[1].setSysctl("net/ipv4/ip_forward", to: "0")
            #expect(try namespaces[0].sysctl("net.ipv4.ip_forward") == "1")
            #expect(try namespaces[1].sysctl("net.ipv4.ip_forward") == "0")
            let error = #expect(throws: NetlinkError.self) {
                try namespaces[0].setSysctl("net.ipv4.no_such_key", to: "1")
            }
            #expect(error?.code == .notFound)
        }
    }
}
