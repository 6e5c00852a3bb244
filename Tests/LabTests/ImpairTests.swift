// SPDX-License-Identifier: Apache-2.0

import Glibc
import Netlink
import Testing

@testable import MeshLab

/// Faults that are less than a power cut, without agents.
@Suite(.tags(.kernel)) struct ImpairTests {
    @Test("a cut loses what one cluster sends to another, and nothing in any other direction")
    func cut() async throws {
        try await withNetwork { lab in
            let (alpha, beta, gamma) = (
                lab.plan.clusters[0].nodes, lab.plan.clusters[1].nodes, lab.plan.clusters[2].nodes
            )
            let cut = try lab.cut(from: "alpha", to: "beta", object: try impairObject())
            for sender in alpha {
                for receiver in beta {
                    #expect(try arrivals(from: sender, to: receiver) == 0)
                    #expect(try arrivals(from: receiver, to: sender) > 0)
                }
            }
            #expect(try arrivals(from: alpha[0], to: alpha[1]) > 0)
            #expect(try arrivals(from: alpha[0], to: gamma[0]) > 0)
            #expect(try arrivals(from: gamma[0], to: beta[0]) > 0)
            try cut.heal()
            #expect(try arrivals(from: alpha[0], to: beta[0]) > 0)
        }
    }

    @Test("a severed link loses one direction until it is mended, whoever ends meanwhile")
    func sever() async throws {
        try await withNetwork { lab in
            let (alpha, beta, gamma) = (
                lab.plan.clusters[0].nodes, lab.plan.clusters[1].nodes, lab.plan.clusters[2].nodes
            )
            #expect(try arrivals(from: alpha[0], to: beta[0]) > 0)
            try lab.sever(from: "alpha", to: "beta")
            for sender in alpha {
                for receiver in beta {
                    #expect(try arrivals(from: sender, to: receiver) == 0)
                    #expect(try arrivals(from: receiver, to: sender) > 0)
                }
            }
            #expect(try arrivals(from: alpha[0], to: gamma[0]) > 0)
            #expect(try arrivals(from: gamma[0], to: beta[0]) > 0)
            for _ in 0..<2 { try lab.mend(from: "alpha", to: "beta") }
            for sender in alpha { #expect(try arrivals(from: sender, to: beta[0]) > 0) }
        }
    }

    @Test("a share of the packets is lost, two faults of one node add up, and end by themselves")
    func share() async throws {
        try await withNetwork { lab in
            let (alpha, beta, gamma) = (
                lab.plan.clusters[0].nodes[0], lab.plan.clusters[1].nodes[0],
                lab.plan.clusters[2].nodes[0]
            )
            do {
                let half = try lab.cut(
                    from: "alpha/\(alpha.name)", to: "beta/\(beta.name)", share: 0.5,
                    object: try impairObject())
                let whole = try lab.cut(
                    from: "gamma/\(gamma.name)", to: "beta/\(beta.name)",
                    object: try impairObject())
                // 200 throws of a coin: 13 standard deviations.
                #expect((10...190).contains(try arrivals(from: alpha, to: beta, of: 200)))
                #expect(try arrivals(from: gamma, to: beta) == 0)
                try half.heal()
                #expect(try arrivals(from: gamma, to: beta) == 0)
                #expect(whole.moment.ended >= whole.moment.began)
            }
            _ = try await awaiting("the second fault to end", atMost: .seconds(5)) {
                try arrivals(from: gamma, to: beta) > 0 ? true : nil
            }
        }
    }

    @Test("a frozen agent stands still until it is thawed; nobody else's does")
    func freeze() async throws {
        try await withNetwork { lab in
            let cluster = lab.plan.clusters[0]
            let cgroup = try LabCgroup(lab: lab.plan.name)
            let agents = try cluster.nodes.map { node in
                let agent = try LabProcess(
                    ["/bin/sleep", "60"], output: "/dev/null", environment: [:])
                try join(agent, "\(cgroup.agent(of: node, in: cluster))/cgroup.procs")
                return agent
            }
            try lab.freeze("alpha/\(cluster.nodes[0].name)")
            try await awaitState("T", of: agents[0])
            #expect(try state(of: agents[1]) != "T")
            try lab.thaw("alpha")
            try await awaitState("S", of: agents[0])
        }
    }

    /// Runs `body` with the network and the cgroups of a lab of nobody else's.
    private func withNetwork(_ body: (Lab) async throws -> Void) async throws {
        let plan = try LabPlanner.plan(.builtIn, name: freshLabName())
        do {
            try LabNetwork(plan: plan).create()
            try LabCgroup(lab: plan.name).create(for: plan)
            try await body(try Lab(plan: plan, executable: "/bin/false"))
        } catch {
            try await Lab.down(plan.name)
            throw error
        }
        try await Lab.down(plan.name)
        #expect(try traces(of: plan.name).isEmpty)
    }

    /// How many datagrams arrive: of those given, or 1 if any of three does.
    private func arrivals(
        from sender: LabPlan.Node, to receiver: LabPlan.Node, of count: Int? = nil
    ) throws -> Int {
        let target = try LoadTarget(url: "udp://\(receiver.underlay):9")
        let output = try udpSocket(in: sender)
        let input = try udpSocket(in: receiver)
        defer {
            close(output)
            close(input)
        }
        var timeout = timeval(tv_sec: 0, tv_usec: 200_000)
        setsockopt(
            input, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        try #require(target.withSocketAddress { bind(input, $0, $1) } == 0)
        try #require(target.withSocketAddress { connect(output, $0, $1) } == 0)
        var byte: UInt8 = 0
        var arrived = 0
        for _ in 0..<(count ?? 3) {
            try #require(send(output, &byte, 1, 0) == 1)
            if count == nil, recv(input, &byte, 1, 0) == 1 { return 1 }
        }
        while count != nil, recv(input, &byte, 1, 0) == 1 { arrived += 1 }
        return arrived
    }

    private func udpSocket(in node: LabPlan.Node) throws -> Int32 {
        try NetworkNamespace(named: node.namespace).run {
            socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        }
    }

    private func join(_ process: LabProcess, _ file: String) throws {
        let descriptor = open(file, O_WRONLY)
        defer { close(descriptor) }
        let text = "\(process.identifier)"
        try #require(write(descriptor, text, text.utf8.count) == text.utf8.count)
    }

    private func awaitState(_ wanted: Character, of process: LabProcess) async throws {
        _ = try await awaiting("process \(process.identifier) to be \(wanted)", atMost: .seconds(5))
        {
            try state(of: process) == wanted ? true : nil
        }
    }

    /// The letter behind the name in `/proc/PID/stat`.
    private func state(of process: LabProcess) throws -> Character? {
        let text = try LabFolder.read("/proc/\(process.identifier)/stat")
        return text.split(separator: ") ").last?.first
    }

    /// What `scripts/build-bpf` makes of `bpf/tests/impair.c`.
    private func impairObject(file: String = #filePath) throws -> [UInt8] {
        let root = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        let path = root.joined(separator: "/") + "/bpf/tests/impair.bpf.o"
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0, "\(path) is missing: run scripts/build-bpf")
        defer { close(descriptor) }
        return [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
    }
}
