// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshLab
import Netlink

/// How long operators wait for an agent that holds a large mesh.
struct VerbCost {
    private static let lab = "benchverbs"
    private static let loadLimit = Duration.seconds(300)
    /// Done, a name that isn't there, and a flow that stops: nobody answers in the clusters.
    private static let answers: Set<Int32> = [0, 5, 8]
    /// A verb isn't repeated after so many seconds.
    private static let verbLimit = 5.0

    let weft: String
    let isQuick: Bool

    private var clusters: Int { isQuick ? 100 : 1000 }
    private var repetitions: Int { isQuick ? 5 : 11 }

    func run() async throws {
        let file = try LabFile.ofSingleNodes(["alpha"], name: "verbs")
        try await withLab(Self.lab, file, weft: weft) { lab in
            let node = try lab.plan.cluster(named: "alpha").nodes[0]
            let mesh = LargeMesh(clusters: clusters, endpoints: 100)
            try await lab.endAgents("alpha/\(node.name)", orderly: true)
            let begin = monotonicNow()
            try mesh.write(for: node, in: lab)
            tell("\(clusters) clusters written in \(seconds(since: begin)) s")
            let start = monotonicNow()
            try await lab.revive("alpha/\(node.name)")
            let agent = lab.agent(of: node, timeout: .seconds(120))
            _ = try await awaiting("the clusters", atMost: Self.loadLimit, every: .seconds(1)) {
                let count = try await agent.clusters().reduce(0) { $0 + $1.endpoints }
                return count >= mesh.count ? true : nil
            }
            Figure("operators.verbs.restart", seconds(since: start), "s").report()
            // What has to be said about peers nobody answers for is said by then.
            try await Task.sleep(for: .seconds(10))
            try verbs(of: node, in: lab)
            let used = try agentSeconds(of: node, in: lab)
            let count = try await scrapes(agent)
            Figure(
                "operators.verbs.scrape.agent-processor",
                (try agentSeconds(of: node, in: lab) - used) * 1000 / Double(count), "ms"
            ).report()
            try page(of: node)
        }
    }

    private func seconds(since begin: UInt64) -> Double {
        milliseconds(from: begin, to: monotonicNow()) / 1000
    }

    /// Processor time of the agent since its start.
    private func agentSeconds(of node: LabPlan.Node, in lab: Lab) throws -> Double {
        try AgentReading(of: node, in: lab.plan.cluster(named: "alpha"), lab).processorSeconds
    }

    private func verbs(of node: LabPlan.Node, in lab: Lab) throws {
        let socket = ["--socket", "\(lab.plan.runFolder(of: node))/weft.sock"]
        let (source, target) = ("c2:\(LargeMesh.endpoint(0))", "c3:\(LargeMesh.endpoint(1))")
        let verbs: [(String, goal: String?)] = [
            ("status", "value<=200"), ("status -o json", nil), ("cluster list", nil),
            ("node list", nil), ("service list", nil), ("service get s1", nil),
            ("endpoint list", nil), ("endpoint list -o json", nil), ("endpoint list --local", nil),
            ("identity list", nil), ("policy list", nil), ("flows", nil), ("drops", nil),
            ("why c2", nil), ("why \(source) default/s1:80", nil),
            ("why \(source) \(target):8080", nil),
            // Nobody is called so: all names are looked through for who was meant.
            ("why \(source) default/s1-x:80", nil),
            ("policy trace \(source) \(target) 8080", nil), ("ca status", nil), ("ca denied", nil),
            ("config show", nil),
            ("bpf maps", nil), ("bpf services", nil), ("bpf conntrack", nil),
        ]
        for (verb, goal) in verbs {
            let words = verb.split(separator: " ").map(String.init)
            var times = Sample()
            var bytes = 0
            let start = monotonicNow()
            let used = (processorSeconds(ofChildren: true), try agentSeconds(of: node, in: lab))
            while times.values.isEmpty
                || times.values.count < repetitions && seconds(since: start) < Self.verbLimit
            {
                let begin = monotonicNow()
                bytes = try Subprocess([weft] + words + socket)
                    .finish(with: Self.answers).utf8.count
                times.add(milliseconds(from: begin, to: monotonicNow()))
            }
            let name = verb.replacing(source, with: "SRC").replacing(target, with: "DST")
                .replacing(" ", with: "-").replacing("--", with: "-")
            Figure("operators.verbs.\(name).p50", times.median, "ms", goal: goal).report()
            Figure("operators.verbs.\(name).max", times.largest, "ms").report()
            let count = Double(times.values.count)
            Figure(
                "operators.verbs.\(name).processor",
                (processorSeconds(ofChildren: true) - used.0) * 1000 / count, "ms"
            ).report()
            Figure(
                "operators.verbs.\(name).agent-processor",
                (try agentSeconds(of: node, in: lab) - used.1) * 1000 / count, "ms"
            ).report()
            tell("\(verb): \(bytes) bytes")
        }
        try archive(with: socket, in: lab.plan.stateFolder)
    }

    private func archive(with socket: [String], in folder: String) throws {
        let path = "\(folder)/report.tar.gz"
        let begin = monotonicNow()
        _ = try Subprocess([weft, "bugreport", "--file", path] + socket).finish()
        Figure("operators.verbs.bugreport", seconds(since: begin), "s").report()
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure("see \(path)") }
        Figure("operators.verbs.bugreport.bytes", Double(status.st_size), "bytes").report()
        unlink(path)
    }

    /// - Returns: how many.
    private func scrapes(_ agent: AdminClient) async throws -> Int {
        var times = Sample()
        var text = ""
        for _ in 0..<(isQuick ? 20 : 100) {
            let begin = monotonicNow()
            text = try await agent.metrics()
            times.add(milliseconds(from: begin, to: monotonicNow()))
        }
        let series = text.split(separator: "\n").count { !$0.hasPrefix("#") }
        Figure("operators.verbs.scrape.p50", times.median, "ms").report()
        Figure("operators.verbs.scrape.p99", times.percentile(0.99), "ms", goal: "value<=50")
            .report()
        Figure("operators.verbs.series", Double(series), "series", goal: "value<=2000").report()
        return times.values.count
    }

    private func page(of node: LabPlan.Node) throws {
        let documents = [
            ("page", "/v1/page"), ("services", "/v1/page/services"),
            ("find", "/v1/page/services?find=s99"), ("why", "/v1/why/c2"),
        ]
        for (name, path) in documents {
            var times = Sample()
            var bytes = 0
            for _ in 0..<repetitions {
                let begin = monotonicNow()
                bytes = try document(path, of: node).count
                times.add(milliseconds(from: begin, to: monotonicNow()))
            }
            Figure("operators.page.\(name).p50", times.median, "ms").report()
            Figure("operators.page.\(name).max", times.largest, "ms").report()
            Figure("operators.page.\(name).bytes", Double(bytes), "bytes").report()
        }
    }

    /// What the page's port on the node's loopback answers.
    private func document(_ path: String, of node: LabPlan.Node) throws -> [UInt8] {
        let namespace = try NetworkNamespace(named: node.namespace)
        let descriptor = try namespace.run { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(4793).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { throw failure("connect to the page of \(node.name)") }
        let question = "GET \(path) HTTP/1.1\r\nHost: localhost:4793\r\nConnection: close\r\n\r\n"
        guard send(descriptor, question, question.utf8.count, 0) == question.utf8.count else {
            throw failure("ask for \(path)")
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = recv(descriptor, &chunk, chunk.count, 0), count > 0 {
            answer += chunk[..<count]
        }
        guard answer.starts(with: "HTTP/1.1 200 OK\r\n".utf8) else {
            throw LabError(
                .failed, "\(path): \(String(decoding: answer.prefix(200), as: UTF8.self))")
        }
        return answer
    }
}
