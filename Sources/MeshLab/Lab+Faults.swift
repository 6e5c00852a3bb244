// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin

extension Lab {
    /// When something was done to a lab, on this machine's `CLOCK_MONOTONIC`, in nanoseconds.
    public struct Moment: Hashable, Sendable {
        public let began: UInt64
        public let ended: UInt64

        public init(began: UInt64, ended: UInt64) {
            self.began = began
            self.ended = ended
        }
    }

    /// Ends a cluster or a node as a power cut would: cables and agents at the same moment. The
    /// workloads live on, out of reach.
    ///
    /// - Parameter target: `CLUSTER` or `CLUSTER/NODE`.
    /// - Returns: the moment of the first cable and of the last agent.
    @discardableResult
    public func kill(_ target: String) throws -> Moment {
        let nodes = try plan.nodes(matching: target)
        var cables = try LabCables(plan: plan, nodes: nodes)
        // Everything is opened before the first cable is pulled.
        let killers = try nodes.flatMap { node in
            let cluster = try cluster(of: node)
            let authority =
                cluster.authorityNodes.contains(node)
                ? [cgroup.authority(on: node, in: cluster)] : []
            return try ([cgroup.agent(of: node, in: cluster)] + authority).map { try Killer($0) }
        }
        let began = Self.now()
        try cables.set(connected: false)
        for killer in killers { try killer.kill() }
        return Moment(began: began, ended: Self.now())
    }

    /// Ends agents without touching their cables.
    ///
    /// - Parameter orderly: SIGTERM, not SIGKILL.
    @discardableResult
    public func endAgents(_ target: String, orderly: Bool = false) async throws -> Moment {
        let began = Self.now()
        let folders = try plan.nodes(matching: target).map {
            cgroup.agent(of: $0, in: try cluster(of: $0))
        }
        for folder in folders {
            for process in try LabCgroup.processes(in: folder) {
                guard Glibc.kill(process, orderly ? SIGTERM : SIGKILL) == 0 || errno == ESRCH else {
                    throw LabError.system("signal process \(process)")
                }
            }
        }
        for folder in folders {
            _ = try await awaiting("the agent in \(folder) to end", atMost: Self.killLimit) {
                LabProcess.reap()
                return try LabCgroup.isPopulated(folder) ? nil : true
            }
        }
        return Moment(began: began, ended: Self.now())
    }

    /// Undoes ``kill(_:)``: cables, then agents; returns when the agents answer.
    @discardableResult
    public func revive(_ target: String) async throws -> Moment {
        let nodes = try plan.nodes(matching: target)
        let began = Self.now()
        LabProcess.reap()
        try LabNetwork(plan: plan).setCables(of: nodes, connected: true)
        try startReplicas(on: nodes)
        var dead: [LabPlan.Node] = []
        for node in nodes where try !isRunning(node) { dead.append(node) }
        try await startAgents(of: dead)
        return Moment(began: began, ended: Self.now())
    }

    /// Tells all clusters to send a cluster nothing new, or takes that back. Every node of it is
    /// asked, so that one that doesn't answer fails the call.
    ///
    /// - Parameter target: `CLUSTER`; `CLUSTER/NODE` asks that node alone on the cluster's behalf.
    @discardableResult
    public func drain(_ target: String, _ draining: Bool = true) async throws -> Moment {
        let nodes = try plan.nodes(matching: target)
        let began = Self.now()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes {
                group.addTask { try await agent(of: node).drain(draining) }
            }
            try await group.waitForAll()
        }
        return Moment(began: began, ended: Self.now())
    }

    /// Files with what agents and workloads wrote; `target` is a cluster, a node, an endpoint, or
    /// nil for all.
    public func logs(_ target: String? = nil) throws(LabError) -> [String] {
        let all = plan.clusters.flatMap { cluster in
            cluster.nodes.map {
                (
                    names: [$0.name, cluster.name, "\(cluster.name)/\($0.name)"],
                    log: plan.log(of: $0)
                )
            }
                + cluster.authorityNodes.map {
                    (
                        names: [cluster.name, "\(cluster.name)/authority"],
                        log: plan.logOfAuthority(on: $0)
                    )
                }
                + cluster.endpoints.map {
                    (
                        names: [$0.name, cluster.name, "\(cluster.name)/\($0.name)"],
                        log: plan.log(of: $0, in: cluster)
                    )
                }
        }
        let found = all.filter { entry in target.map { entry.names.contains($0) } ?? true }
        guard !found.isEmpty else {
            throw LabError(.notFound, "lab \(plan.name) has nothing called \(target ?? "")")
        }
        return found.map(\.log).filter { LabFolder.exists($0) }
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// A killer that fits into an array.
private final class Killer {
    private let killer: CgroupKiller
    init(_ folder: String) throws(LabError) { killer = try CgroupKiller(folder) }
    func kill() throws(LabError) { try killer.kill() }
}
