// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

extension Lab {
    /// Starts the agents of these nodes and waits until each answers.
    ///
    /// - Throws: ``LabError`` with the node whose agent ended or doesn't answer.
    public func startAgents(of nodes: [LabPlan.Node]) async throws {
        var started: [(node: LabPlan.Node, process: LabProcess)] = []
        for node in nodes {
            started.append((node, try startAgent(of: node, in: try cluster(of: node))))
        }
        let deadline = ContinuousClock.now + Self.agentStartLimit
        for (node, process) in started {
            _ = try await awaiting(
                "the agent of \(node.name): see \(plan.log(of: node))",
                atMost: deadline - ContinuousClock.now
            ) { () async throws -> AgentStatus? in
                if let ending = process.ending() {
                    throw LabError(
                        .failed,
                        "the agent of \(node.name) ended (\(ending)): see \(plan.log(of: node))")
                }
                return try await answered { try await agent(of: node).status() }
            }
        }
    }

    /// Waits until each of these nodes takes all other clusters and paths for up, and has every service of
    /// its cluster in the kernel with every cluster's backends.
    ///
    /// - Parameter joined: the clusters that know each other; nil: as the lab began.
    public func converge(_ nodes: [LabPlan.Node], joined: Set<String>? = nil) async throws {
        let deadline = ContinuousClock.now + Self.convergenceLimit
        for node in nodes {
            let cluster = try cluster(of: node)
            if cluster.publishers.contains(node) {
                let authority = "\(LabTrust(plan: plan).authority(of: node))/intermediate.pem"
                _ = try await awaiting(
                    "an intermediate of \(node.name)", atMost: deadline - ContinuousClock.now
                ) { LabFolder.exists(authority) ? true : nil }
            }
            let known =
                joined ?? (plan.apart ? [cluster.name] : Set(plan.clusters.map(\.name)))
            var missing = "an answer"
            _ = try await awaiting(
                "\(node.name): it lacks \(missing)", atMost: deadline - ContinuousClock.now
            ) { () async throws -> Bool? in
                let agent = agent(of: node)
                guard
                    let clusters = try await answered({ try await agent.clusters() }),
                    let services = try await answered({ try await agent.services() })
                else { return nil }
                guard let lack = lack(clusters, services, cluster, known) else { return true }
                missing = lack
                return nil
            }
        }
    }

    /// What a node of `cluster` doesn't know yet, nil if it knows everything.
    private func lack(
        _ clusters: [ClusterStatus], _ services: [ServiceStatus], _ own: LabPlan.Cluster,
        _ known: Set<String>
    ) -> String? {
        for cluster in plan.clusters where cluster.name != own.name && known.contains(cluster.name)
        {
            guard let status = clusters.first(where: { $0.name == cluster.name }),
                status.verdict == .up, status.weight > 0
            else { return "cluster \(cluster.name)" }
            guard status.paths.allSatisfy({ $0.state == .up }) else {
                return "a path to \(cluster.name)"
            }
        }
        for service in plan.services {
            guard let addresses = service.addresses[own.name] else { continue }
            let expected = Set(
                plan.clusters.filter { cluster in
                    known.contains(cluster.name)
                        && (service.isGlobal || cluster.name == own.name)
                        && service.addresses[cluster.name] != nil && hasBackends(service, cluster)
                }.map(\.name))
            for address in addresses {
                let rows = services.filter { $0.address == address && $0.name == service.name }
                guard rows.count == service.ports.count,
                    rows.allSatisfy({ row in
                        row.state == .done && Set(row.slices.map(\.cluster.name)) == expected
                    })
                else { return "service \(service.name) at \(address)" }
            }
        }
        return nil
    }

    private func hasBackends(_ service: LabPlan.Service, _ cluster: LabPlan.Cluster) -> Bool {
        cluster.endpoints.contains(where: service.selects)
    }

    /// Nil while the agent can't answer yet.
    private func answered<Answer>(
        _ ask: () async throws -> Answer
    ) async throws -> Answer? {
        do {
            return try await ask()
        } catch AdminClientError.unreachable, AdminClientError.timedOut {
            return nil
        } catch let fault as AdminFault where fault.code == .unavailable {
            return nil
        }
    }
}
