// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import Netlink
import Testing

@testable import MeshLab

/// What comes and goes with a lab, without agents.
@Suite(.tags(.kernel)) struct LifeTests {
    @Test("a lab's network joins its nodes, and only them; taking it down leaves nothing")
    func network() async throws {
        let mine = try LabPlanner.plan(.builtIn, name: freshLabName())
        let other = try LabPlanner.plan(.builtIn, name: freshLabName())
        let links = try linkNames()
        for plan in [mine, other] {
            try LabNetwork(plan: plan).create()
            try LabCgroup(lab: plan.name).create(for: plan)
        }
        #expect(try linkNames() == links)
        #expect(try isReachable(mine.nodes[0], "172.31.3.2"))
        try LabNetwork(plan: mine).setCables(of: mine.clusters[2].nodes, connected: false)
        #expect(try !isReachable(mine.nodes[0], "172.31.3.2"))
        #expect(try isReachable(other.nodes[0], "172.31.3.2"))
        try LabNetwork(plan: mine).setCables(of: mine.clusters[2].nodes, connected: true)
        #expect(try isReachable(mine.nodes[0], "172.31.3.2"))

        try await Lab.down(mine.name)
        try await Lab.down(mine.name)
        #expect(try traces(of: mine.name).isEmpty)
        #expect(try traces(of: other.name).count > 10)
        try await Lab.down(other.name)
        #expect(try traces(of: other.name).isEmpty)
        #expect(try linkNames() == links)
    }

    @Test("whatever lives in a lab's cgroup ends with it, and nothing else")
    func processes() async throws {
        let plan = try LabPlanner.plan(.builtIn, name: freshLabName())
        let cgroup = try LabCgroup(lab: plan.name)
        try cgroup.create(for: plan)
        let folder = cgroup.endpoints(of: plan.nodes[0], in: plan.clusters[0])
        let outside = try LabProcess(["/bin/sleep", "60"], output: "/dev/null", environment: [:])
        let inside = try LabProcess(["/bin/sleep", "60"], output: "/dev/null", environment: [:])
        try join(inside.identifier, folder)
        #expect(try LabCgroup.processes(in: folder) == [inside.identifier])
        #expect(try LabCgroup.isPopulated(cgroup.root))
        try await Lab.down(plan.name)
        #expect(kill(inside.identifier, 0) == -1 && errno == ESRCH)
        #expect(kill(outside.identifier, 0) == 0)
        try outside.signal(SIGKILL)
        #expect(try await outside.wait(atMost: .seconds(5)) == .signalled(SIGKILL))
        #expect(try traces(of: plan.name).isEmpty)
    }

    @Test("an agent that can't start is named, with its last words, and nothing is left")
    func failingAgent() async throws {
        let name = freshLabName()
        let error = await #expect(throws: LabError.self) {
            try await Lab.up(name: name, executable: "/bin/false")
        }
        #expect(error?.message.contains("the agent of alpha-1 ended") == true)
        #expect(try traces(of: name).isEmpty)
    }

    @Test("a second lab of a name is refused and the first one stays")
    func taken() async throws {
        let name = freshLabName()
        try LabFolder.make("\(LabPlan.folder)/\(name)")
        let error = await #expect(throws: LabError.self) {
            try await Lab.up(name: name, executable: "/bin/false")
        }
        #expect(error?.code == .exists)
        #expect(try Lab.names().contains(name))
        try await Lab.down(name)
    }

    @Test("a lab that isn't there is told from those that are")
    func missing() {
        let error = #expect(throws: LabError.self) {
            try Lab(named: freshLabName(), executable: "/bin/false")
        }
        #expect(error?.code == .notFound)
    }

    /// Names of the links in the namespace of this process.
    private func linkNames() throws -> Set<String> {
        var socket = try RouteSocket()
        return Set(try socket.links().map(\.name))
    }

    private func join(_ process: pid_t, _ folder: String) throws {
        let file = open("\(folder)/cgroup.procs", O_WRONLY)
        defer { close(file) }
        let text = "\(process)"
        try #require(write(file, text, text.utf8.count) == text.utf8.count)
    }

    /// Whether a datagram to a closed port comes back as refused: the other node's kernel answers.
    private func isReachable(_ node: LabPlan.Node, _ address: String) throws -> Bool {
        let namespace = try NetworkNamespace(named: node.namespace)
        let descriptor = try namespace.run { socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) }
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: 0, tv_usec: 300_000)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let target = try LoadTarget(url: "udp://\(address):9")
        guard target.withSocketAddress({ connect(descriptor, $0, $1) }) == 0 else { return false }
        var byte: UInt8 = 0
        // The first question may be lost while the bridge learns its port's state.
        for _ in 0..<10 {
            guard send(descriptor, &byte, 1, 0) == 1 else { return errno == ECONNREFUSED }
            if recv(descriptor, &byte, 1, 0) < 0, errno == ECONNREFUSED { return true }
        }
        return false
    }
}
