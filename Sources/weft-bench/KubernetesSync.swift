// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshKubernetes
import MeshLab
import MeshModel

/// From an API server into the kernel's maps, by a real agent that publishes and by way of its ledger to
/// another one.
struct KubernetesSync {
    private static let lab = "benchkube"
    private static let service = "answer"
    private static let limit = Duration.seconds(300)

    let quick: Bool
    let weft: String

    private func file() throws -> LabFile {
        try LabFile(
            yaml: """
                clusters:
                  - {name: alpha, id: 1, nodes: 2, apiServer: true, serviceCIDRs: [10.201.0.0/16]}
                services:
                  - {name: \(Self.service), selector: {app: answer}, ports: [{name: http, port: 80}]}
                """, name: "kubernetes")
    }

    // MARK: Cold

    /// The publisher restarts while its API server has got 10,000 services with ten endpoints each.
    func cold() async throws {
        let services = quick ? 1000 : 10_000
        let pods = quick ? 500 : 5000
        try await withLab(Self.lab, try file(), weft: weft) { lab in
            let alpha = lab.plan.clusters[0]
            let (publisher, other) = (alpha.nodes[0], alpha.nodes[1])
            try await lab.endAgents("alpha/\(publisher.name)", orderly: true)
            try await lab.endAPIServer(of: alpha)
            try append(services: services, pods: pods, to: lab, alpha)
            try await lab.startAPIServer(of: alpha)
            tell("\(services) services, \(services * 10) endpoints and \(pods) pods wait")
            let begin = monotonicNow()
            try await lab.startAgents(of: [publisher])
            let answered = monotonicNow()
            for (node, name) in [(publisher, "publisher"), (other, "other")] {
                let kernel = try KernelView(of: node, in: alpha.name, lab: lab.plan.name)
                let moment = try await complete(services, in: kernel)
                Figure(
                    "kubernetes.sync.\(name)", milliseconds(from: begin, to: moment) / 1000, "s"
                ).report()
            }
            Figure(
                "kubernetes.sync.start", milliseconds(from: begin, to: answered) / 1000, "s"
            ).report()
            for (node, name) in [(publisher, "publisher"), (other, "other")] {
                let memory = AgentMemory(lab: lab)
                Figure(
                    "kubernetes.sync.\(name).memory.peak",
                    try memory.mebibytes("VmHWM", of: node, in: alpha), "MiB"
                ).report()
                Figure(
                    "kubernetes.sync.\(name).memory.anonymous",
                    try memory.mebibytes("RssAnon", of: node, in: alpha), "MiB"
                ).report()
            }
        }
    }

    private func append(
        services: Int, pods: Int, to lab: Lab, _ alpha: LabPlan.Cluster
    ) throws {
        guard let file = fopen(lab.plan.writesOfAPIServer(of: alpha), "ae") else {
            throw failure("write objects")
        }
        defer { fclose(file) }
        var version = 1_000_000
        func append(_ object: JSONValue) throws {
            version += 1
            let line = KubernetesObjects.line(object, version: version)
            guard fwrite(line, 1, line.count, file) == line.count else {
                throw failure("write objects")
            }
        }
        let nodes = alpha.nodes.map(\.name)
        for number in 0..<services {
            try append(KubernetesObjects.service(number))
            try append(KubernetesObjects.slice(number, nodes: nodes))
        }
        // A node has some hundred; the others are other nodes', and not to be sent to these.
        for number in 0..<pods {
            let node = number < 100 ? nodes[0] : "node-\(number % 50)"
            try append(KubernetesObjects.pod(number, on: node))
        }
    }

    /// - Returns: when the programs find every backend of every service.
    private func complete(_ services: Int, in kernel: borrowing KernelView) async throws -> UInt64 {
        let deadline = ContinuousClock.now + Self.limit
        var number = 0
        while ContinuousClock.now < deadline {
            while number < services {
                let address = "\(KubernetesObjects.address(ofService: number))"
                guard let slot = try kernel.slot(of: address, port: 80),
                    kernel.backends(ofSlot: slot).count == KubernetesObjects.backendsPerService
                else { break }
                number += 1
            }
            if number == services { return monotonicNow() }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw LabError(.timedOut, "\(number) of \(services) services are in the kernel")
    }

    // MARK: Changes

    /// One endpoint of a service takes another's place, by a client of the API server.
    func changes() async throws {
        let count = quick ? 40 : 200
        try await withLab(Self.lab, try file(), weft: weft) { lab in
            let alpha = lab.plan.clusters[0]
            guard let address = lab.plan.services[0].addresses[alpha.name]?.first else {
                throw LabError(.failed, "the service has no address")
            }
            for (index, name) in [(0, "publisher"), (1, "other")] {
                let kernel = try KernelView(
                    of: alpha.nodes[index], in: alpha.name, lab: lab.plan.name)
                guard let slot = try kernel.slot(of: address, port: 80) else {
                    throw LabError(.failed, "the service isn't in the kernel")
                }
                // What the writer before wrote and took back may still be on its way out.
                let calm = ContinuousClock.now + .seconds(10)
                while !kernel.backends(ofSlot: slot).isEmpty, ContinuousClock.now < calm {
                    usleep(1000)
                }
                let writer = alpha.nodes[1]
                let process = try Subprocess([
                    weft, "lab-exec", "--netns", "/run/netns/\(writer.namespace)", "--",
                    try ownExecutable(), KubernetesWriteCommand.name,
                    "--kubeconfig", lab.plan.kubeconfig(of: writer),
                    "--service", Self.service, "--slice", "bench-\(index)", "--count", "\(count)",
                ])
                let seen = try follow(kernel, slot, count)
                var times = Sample()
                let began = try process.finish().split(separator: "\n").compactMap { UInt64($0) }
                for (number, begin) in began.enumerated().dropFirst() where seen[number] > 0 {
                    times.add(milliseconds(from: begin, to: seen[number]))
                }
                for (share, text) in [(0.5, "p50"), (0.99, "p99")] {
                    Figure("kubernetes.change.\(name).\(text)", times.percentile(share), "ms")
                        .report()
                }
            }
        }
    }

    /// - Returns: when each address was in the kernel, by its number. One that was overtaken was there
    ///   with its successor at the latest.
    private func follow(
        _ kernel: borrowing KernelView, _ slot: UInt32, _ count: Int
    ) throws -> [UInt64] {
        var moments = [UInt64](repeating: 0, count: count)
        var next = 0
        var seen: UInt64?
        let deadline = ContinuousClock.now + Self.limit
        while next < count, ContinuousClock.now < deadline {
            let word = kernel.word(ofSlot: slot)
            if word != seen {
                seen = word
                let moment = monotonicNow()
                if let address = kernel.backends(ofSlot: slot).first,
                    let number = KubernetesWriteCommand.number(of: address), number >= next,
                    number < count
                {
                    for index in next...number { moments[index] = moment }
                    next = number + 1
                }
            }
            usleep(50)
        }
        guard next == count else {
            throw LabError(.timedOut, "\(next) of \(count) changes are in the kernel")
        }
        return moments
    }
}
