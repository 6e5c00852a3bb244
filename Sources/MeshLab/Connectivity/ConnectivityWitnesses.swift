// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

/// The agents at both ends of a check, asked what they know of it.
struct ConnectivityWitnesses: Sendable {
    /// How long a denial may take from the kernel to whoever reads flows.
    static let flowLimit = Duration.seconds(2)

    let sites: [ConnectivitySite]
    /// Drops by node and reason, before the first check.
    let dropsBefore: [String: [String: UInt64]]

    init(_ sites: [ConnectivitySite]) async {
        self.sites = sites
        var before: [String: [String: UInt64]] = [:]
        for site in sites {
            // An agent that doesn't answer is told by the checks of its endpoints.
            let drops = (try? await site.agent.drops()) ?? []
            before[site.node] = Dictionary(
                uniqueKeysWithValues: drops.map { ($0.label, $0.packets) })
        }
        dropsBefore = before
    }

    private func site(of node: String) -> ConnectivitySite? { sites.first { $0.node == node } }

    /// Silence alone proves no denial: the server's node must have denied it.
    ///
    /// - Returns: nil if it did.
    func objection(toDenial check: ConnectivityCheck) async throws -> String? {
        guard let server = check.server, let site = site(of: server.node) else { return nil }
        let deadline = ContinuousClock.now + Self.flowLimit
        repeat {
            let flows = try await refusals(of: check, at: site)
            if flows.contains(where: {
                $0.policy?.contains(ConnectivitySite.objectNamespace) == true
            }) {
                return nil
            }
            try await Task.sleep(for: .milliseconds(50))
        } while ContinuousClock.now < deadline
        return "no answer came, but \(server.node) doesn't say that the test's policy denied it"
    }

    private func refusals(
        of check: ConnectivityCheck, at site: ConnectivitySite
    ) async throws -> [Flow] {
        let transport = check.isUDP ? "UDP" : "TCP"
        var found: [Flow] = []
        try await site.agent.flows(follow: false) { flow in
            guard flow.verdict != .forwarded || flow.type == .reset,
                flow.transport.uppercased() == transport,
                check.client.addresses.contains(flow.source.address)
                    || check.client.addresses.contains(flow.destination.address),
                check.server.map({ server in
                    server.addresses.contains(flow.destination.address)
                        || server.addresses.contains(flow.source.address)
                }) ?? true
            else { return }
            found.append(flow)
        }
        return found
    }

    /// What the agents of both ends say, a sentence each: policies, verdicts, backends, flows, drops.
    func evidence(about check: ConnectivityCheck) async -> [String] {
        var sentences: [String] = []
        func ask(_ site: ConnectivitySite?, _ body: (ConnectivitySite) async throws -> [String])
            async
        {
            guard let site else { return }
            do {
                for sentence in try await body(site) where !sentences.contains(sentence) {
                    sentences.append(sentence)
                }
            } catch {
                sentences.append("\(site.node) can't be asked: \(error)")
            }
        }
        let near = site(of: check.client.node)
        let far = check.server.flatMap { site(of: $0.node) }
        if let server = check.server {
            await ask(near) { try await policies($0, check, server) }
        }
        await ask(near) { try await clusters($0, check) }
        await ask(near) { try await backends($0, check) }
        for site in [near, far].compactMap({ $0 }) {
            await ask(site) { try await refused($0, check) }
        }
        for site in far?.node == near?.node ? [near] : [near, far] {
            await ask(site) { try await drops($0) }
        }
        return sentences
    }

    private func policies(
        _ site: ConnectivitySite, _ check: ConnectivityCheck, _ server: ConnectivityEndpoint
    ) async throws -> [String] {
        guard self.site(of: server.node) != nil else { return [] }
        let answer = try await site.agent.trace(
            from: check.client.traceName, to: server.traceName,
            traffic: "\(ConnectivityEndpoint.port)" + (check.isUDP ? "/udp" : ""))
        guard !answer.allows else { return ["policies let it pass, as \(site.node) knows them"] }
        return [("leaving", answer.egress), ("reaching", answer.ingress)]
            .filter { !$0.1.allows }
            .map {
                "policies, \($0.0 == "leaving" ? "leaving \(answer.source.name)" : "reaching \(answer.destination.name)"): \($0.1.reason)"
            }
    }

    private func clusters(
        _ site: ConnectivitySite, _ check: ConnectivityCheck
    ) async throws -> [String] {
        let others = check.server.map { [$0.cluster] } ?? sites.map(\.cluster)
        return try await site.agent.clusters()
            .filter { others.contains($0.name) && $0.name != site.cluster }
            .compactMap { cluster in
                let silent = cluster.paths.contains { $0.overlay == .silent }
                guard cluster.verdict != .up || silent else { return nil }
                return "to \(site.node), cluster \(cluster.name) is \(cluster.verdict.rawValue), "
                    + "weight \(cluster.weight) of 255"
                    + (silent ? ": the underlay answers, the overlay doesn't" : "")
                    + "; 'weft why \(cluster.name)' tells its story"
            }
    }

    /// Of a service: who of its backends takes no new connections.
    private func backends(
        _ site: ConnectivitySite, _ check: ConnectivityCheck
    ) async throws -> [String] {
        guard check.server == nil else { return [] }
        let frontends = try await site.agent.services().filter { frontend in
            let host = frontend.address.contains(":") ? "[\(frontend.address)]" : frontend.address
            return frontend.namespace == ConnectivitySite.objectNamespace
                && (check.url.contains("//\(host):") || check.url.contains("//\(host)/"))
                && (frontend.transport == "UDP") == check.isUDP
        }
        guard !frontends.isEmpty else { return ["\(site.node) has no such service"] }
        return frontends.flatMap { frontend in
            frontend.slices.flatMap { slice -> [String] in
                guard slice.isLive, slice.weight > 0 else {
                    return ["to \(site.node), \(slice.cluster.name) takes no new connections"]
                }
                return slice.backends.compactMap { backend in
                    if let quarantine = backend.quarantine {
                        return
                            "\(site.node) leaves backend \(backend.address) out: \(quarantine.reason)"
                    }
                    return backend.isLive
                        ? nil : "to \(site.node), node \(backend.node) takes no new connections"
                }
            }
        }
    }

    private func refused(
        _ site: ConnectivitySite, _ check: ConnectivityCheck
    ) async throws -> [String] {
        guard let flow = try await refusals(of: check, at: site).last else { return [] }
        return [
            "\(site.node) \(flow.type.rawValue) it"
                + (flow.reason.map { ": \($0)" } ?? "") + (flow.policy.map { " (\($0))" } ?? "")
        ]
    }

    private func drops(_ site: ConnectivitySite) async throws -> [String] {
        let before = dropsBefore[site.node] ?? [:]
        return try await site.agent.drops().compactMap { drop in
            let count = drop.packets - min(drop.packets, before[drop.label] ?? 0)
            return count == 0
                ? nil
                : "since the test began \(site.node) dropped packets: \(drop.label), \(drop.sentence)"
        }
    }
}
