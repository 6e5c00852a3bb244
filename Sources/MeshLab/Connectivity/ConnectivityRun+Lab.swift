// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin

/// What needs the manifests and the agents of all nodes.
extension ConnectivityRun {
    /// Addresses of the test's services, by cluster and name.
    typealias Services = [String: [String: [String]]]

    /// How long a service may take to move.
    private static let moveLimit = Duration.seconds(10)

    /// Writes the services of every cluster whose servers are there.
    mutating func announce() async throws -> Services {
        guard let lab = test.lab else { return [:] }
        var services: Services = [:]
        for site in sites where site.manifests != nil {
            let cluster = try lab.plan.cluster(named: site.cluster)
            let run = self
            _ = try await check("set up", "services of \(cluster.name)") {
                let inUse = Set(try await site.agent.services().map(\.address))
                services[cluster.name] = try cluster.connectivityAddresses(
                    for: ConnectivityManifests.services, inUse: inUse)
                try run.announce(site, cluster, services, nearIsServed: true)
            }
        }
        return services
    }

    private func announce(
        _ site: ConnectivitySite, _ cluster: LabPlan.Cluster, _ services: Services,
        nearIsServed: Bool
    ) throws {
        let manifests = ConnectivityManifests(
            cluster: cluster, endpoints: endpoints.filter { $0.cluster == cluster.name },
            addresses: services[cluster.name] ?? [:])
        guard let file = site.manifestFiles.first else { return }
        try LabFolder.write(manifests.services(nearIsServed: nearIsServed), to: file)
    }

    /// Waits until every agent knows all endpoints and services.
    mutating func settle(_ services: Services) async throws {
        for site in sites {
            let endpoints = endpoints
            _ = try await check("state", "\(site.node) knows everybody") {
                var missing = ""
                _ = try await awaiting(
                    "\(site.node) to know \(missing)", atMost: ConnectivityTest.knowledgeLimit
                ) { () async throws -> Bool? in
                    missing = try await Self.missing(site, endpoints, services)
                    return missing.isEmpty ? true : nil
                }
            }
        }
    }

    private static func missing(
        _ site: ConnectivitySite, _ endpoints: [ConnectivityEndpoint], _ services: Services
    ) async throws -> String {
        let own = ConnectivitySite.objectNamespace
        let known = try await site.agent.endpoints().filter { $0.namespace == own }
        for endpoint in endpoints {
            guard
                let status = known.first(where: {
                    $0.cluster.name == endpoint.cluster && $0.name == endpoint.name
                }), status.state == .done, status.identity != 0,
                status.addresses == endpoint.addresses
            else { return "endpoint \(endpoint.path)" }
        }
        guard let names = services[site.cluster] else { return "" }
        let rows = try await site.agent.services().filter { $0.namespace == own }
        for name in names.keys.sorted() {
            let frontends = rows.filter { $0.name == name }
            guard !frontends.isEmpty,
                frontends.allSatisfy({ frontend in
                    frontend.state == .done
                        && Set(frontend.slices.map(\.cluster.name)) == Set(services.keys)
                })
            else { return "the backends of service \(name)" }
        }
        return ""
    }

    /// Puts the policy in force in every cluster.
    ///
    /// - Returns: whether it is.
    mutating func enforce(_ lab: Lab) async throws -> Bool {
        for site in sites {
            guard let file = site.manifestFiles.last else { continue }
            try LabFolder.write(ConnectivityManifests.policy(clusters: clusters), to: file)
        }
        let guardians = Set(endpoints.filter { $0.role == .guarded }.map(\.node))
        var isInForce = true
        for site in sites where guardians.contains(site.node) {
            isInForce =
                try await check("state", "\(site.node) enforces a policy") {
                    _ = try await awaiting(
                        "\(site.node) to enforce it", atMost: ConnectivityTest.knowledgeLimit
                    ) { () async throws -> Bool? in
                        try await site.agent.policies().contains {
                            $0.namespace == ConnectivitySite.objectNamespace
                                && $0.name == ConnectivityManifests.policyName
                                && $0.state == .enforced && $0.endpointsHere == 1
                        } ? true : nil
                    }
                } && isInForce
        }
        return isInForce
    }

    /// A service that prefers its own cluster loses its backends there, and gets them back, while a
    /// client asks it all the time.
    mutating func failOver(
        _ lab: Lab, _ services: Services, _ probe: ConnectivityProbe
    ) async throws {
        guard services.count > 1,
            let site = sites.first(where: { $0.manifests != nil && services[$0.cluster] != nil }),
            let client = endpoints.first(where: {
                $0.role == .client && $0.cluster == site.cluster
            }),
            let address = services[site.cluster]?[ConnectivityManifests.near]?.first
        else { return }
        let host = address.contains(":") ? "[\(address)]" : address
        let cluster = try lab.plan.cluster(named: site.cluster)
        let group = "\(client.path) -> a service of its own cluster"
        let file = "\(test.stage.folder)/moving.jsonl"
        let load = try test.stage.start(
            ["lab", "load", "http://\(host)/", "--interval", "20ms", "--timeout", "2s"],
            in: client, output: file)
        func answer(from isExpected: (String) -> Bool) async throws {
            let since = Lab.now()
            _ = try await awaiting("such an answer", atMost: Self.moveLimit) {
                try LoadLog(file: file).requests(from: since).first {
                    $0.outcome == .ok && $0.cluster.map(isExpected) == true
                }
            }
        }
        _ = try await check(group, "its own backends answer") {
            try await answer { $0 == cluster.name }
            let others = try LoadLog(file: file).records.compactMap(\.cluster)
                .filter { $0 != cluster.name }
            guard others.isEmpty else { throw LabError(.failed, "\(others[0]) answered") }
        }
        try announce(site, cluster, services, nearIsServed: false)
        _ = try await check(group, "another cluster takes over when they go") {
            try await answer { $0 != cluster.name }
        }
        try announce(site, cluster, services, nearIsServed: true)
        _ = try await check(group, "they answer again when they are back") {
            try await answer { $0 == cluster.name }
        }
        try load.signal(SIGKILL)
        _ = try await load.wait(atMost: .seconds(10))
        _ = try await check(group, "no request failed meanwhile") {
            let records = try LoadLog(file: file).records
            let failures = records.failures
            guard failures.isEmpty else {
                throw LabError(
                    .failed,
                    "\(failures.count) of \(records.count) failed, the first with "
                        + "'\(failures[0].outcome.rawValue)'")
            }
        }
    }
}
