// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshDatapath
import MeshKubernetes
import MeshLease
import MeshModel
import MeshReachability
import MeshReplication
import MeshStore
import MeshTransport

extension AdminBridge {
    func status() async throws -> AgentStatus {
        let tables = store.snapshot()
        let core = await state.core
        let manifests = await state.manifests
        let links = await state.linkViews
        let refusals = await state.refusals
        let rejections = await state.rejections
        let unsaved = await state.unsaved
        let now = Instant.bootNow
        var reasons: [String] = []
        if !core.publisherAnswers {
            reasons.append(
                core.publisherNode.map { "the publisher \($0) doesn't answer" }
                    ?? "no node publishes this cluster's ledger")
        }
        for row in tables.clusters.rows where !row.isLocal {
            let word = datapath.clusterWord(row.id)
            if word.verdict == .unreachable || word.verdict == .suspect {
                reasons.append(
                    "cluster \(row.name) is \(VerdictName(word.verdict ?? .unknown).rawValue)")
            }
        }
        for cluster in core.frozen.sorted() {
            reasons.append("the ledger of cluster \(reference(cluster, tables).name) is frozen")
        }
        for cluster in unsaved.sorted() {
            let name = reference(cluster, tables).name
            reasons.append("the ledger of cluster \(name) can't be written down")
        }
        if let fault = core.candidacy?.fault { reasons.append("the CA can't delegate: \(fault)") }
        reasons += await trust.peerProblems.map(\.description)
        reasons += await mesh.problems
        let failing = await reconciliation.failures
        reasons += failing
        let sources = await sourceStatus()
        reasons += Self.reasons(of: sources)
        if !core.isComplete { reasons.append("not every cluster's state has arrived yet") }
        let leaving =
            core.departure.phase != .serving && core.isOpen
            ? ["this node leaves its cluster, and publishes for it until another node can"] : []
        let warnings =
            leaving + core.reportConflicts
            + Self.podConflicts(manifests.pods, await state.pods) + core.tables.serviceProblems
            + (await objects?.claimProblems ?? [])
            + core.refusals.values.flatMap(\.values).sorted()
            + core.tables.unreadable { reference($0, tables).name }
        return AgentStatus(
            version: weftVersion,
            cluster: reference(configuration.cluster, tables), node: configuration.node.name,
            health: HealthSummary(
                state: reasons.isEmpty ? .healthy : .degraded, reasons: reasons),
            uptimeSeconds: age(nil), memoryBytes: residentBytes(),
            isDraining: core.drain.isDraining,
            publisher: PublisherStatus(
                node: core.publisherNode, isLocal: core.isOpen,
                isReachable: core.publisherAnswers,
                acknowledged: core.isOpen ? "\(core.acknowledgement.acknowledged)" : nil,
                isAlone: core.isOpen && core.acknowledgement.isAlone),
            ledgers: ([configuration.cluster] + core.peers.map(\.id)).map { owner in
                let position = core.synchroniser.head(of: owner)?.position ?? .origin
                return LedgerStatus(
                    cluster: reference(owner, tables), epoch: position.epoch,
                    revision: position.revision,
                    ageSeconds: core.synchroniser.age(of: owner, at: now)?.seconds,
                    records: core.synchroniser.replica(of: owner)?.count ?? 0,
                    quarantined: core.tables.quarantine[owner]?.count ?? 0,
                    refused: core.refusals[owner]?.count ?? 0,
                    isFrozen: core.frozen.contains(owner))
            },
            peers: core.peers.map { ClusterReference(name: $0.name.rawValue, id: $0.id.rawValue) },
            links: links.values.sorted { $0.node < $1.node }.map {
                LinkStatus(
                    peer: "\(reference($0.node.cluster, tables).name)/\($0.node.name)",
                    state: .connected, sinceSeconds: age($0.since))
            }
                + refusals.sorted { $0.key < $1.key }
                .filter { Instant.monotonicNow - $0.value.last < StateService.Refusal.lifetime }
                .map {
                    LinkStatus(
                        peer: $0.key, state: .waiting, sinceSeconds: age($0.value.since),
                        lastError: $0.value.reason)
                },
            rejections: rejections.sorted { $0.key < $1.key }.map { key, count in
                RejectionStatus(
                    peer: key.node.map {
                        "\(reference($0.cluster, tables).name)/\($0.name)"
                    } ?? "-",
                    reason: key.reason, messages: count)
            },
            sources: sources,
            manifestProblems: (manifests.problems + (await objects?.problems ?? [])).map {
                MeshAdmin.ManifestProblem(
                    file: $0.file, line: $0.line == 0 ? nil : $0.line, message: $0.message)
            },
            ignoredKinds: manifests.ignored.sorted { $0.key < $1.key }.map {
                IgnoredKind(kind: $0.key, objects: $0.value)
            },
            warnings: warnings)
    }

    func clusters() async throws -> [ClusterStatus] {
        let tables = store.snapshot()
        let core = await state.core
        let since = await health.verdictSince
        let reports = await health.freshReports(at: .monotonicNow)
        let capacities = await health.capacities
        var paths: [ClusterID: [MeshAdmin.PathStatus]] = [:]
        for report in reports {
            for path in report.paths {
                paths[path.remote.cluster, default: []].append(
                    PathStatus(
                        localRelay: report.relay, remoteNode: path.remote.name,
                        state: name(of: path.state),
                        rttMilliseconds: path.roundTrip.map { $0.seconds * 1000 },
                        lastBeatSeconds: path.silence?.seconds,
                        overlay: Self.overlay(of: path)))
            }
        }
        let census = ClusterCensus(tables)
        let rows = tables.clusters.rows.map { row in
            let word = datapath.clusterWord(row.id)
            let position = core.synchroniser.head(of: row.id)?.position ?? .origin
            return ClusterStatus(
                name: row.name.rawValue, id: row.id.rawValue, isLocal: row.isLocal,
                verdict: VerdictName(word.verdict ?? .unknown), sinceSeconds: age(since[row.id]),
                weight: word.weight, generation: word.generation, paths: paths[row.id] ?? [],
                epoch: position.epoch, revision: position.revision,
                nodes: census.nodes[row.id] ?? 0,
                services: census.services[row.id]?.count ?? 0,
                endpoints: census.endpoints[row.id] ?? 0,
                capacity: capacities[row.id].map { workload, share in
                    CapacityStatus(
                        capacity: workload.capacity, spare: workload.spare, weightShare: share)
                })
        }
        return await withRoster(rows)
    }

    func why(cluster: String, node: String?) async throws -> HealthStory {
        guard let status = try await clusters().first(where: { $0.name == cluster }),
            let id = ClusterID(rawValue: status.id)
        else {
            var fault = AdminFault.unknownCluster(cluster, store.snapshot())
            fault.hint = "weft cluster list shows them; of a flow, name its destination, too"
            throw fault
        }
        let history = await health.history.entries.filter { entry in
            entry.cluster == nil
                || entry.cluster == id && (node == nil || entry.node == nil || entry.node == node)
        }.map { entry in
            HealthStory.Event(
                secondsAgo: age(entry.at),
                subject: entry.cluster == nil
                    ? "this node"
                    : [cluster, entry.node].compactMap(\.self).joined(separator: "/"),
                text: entry.text)
        }
        guard let node else {
            let age = await state.core.synchroniser.age(of: id, at: .bootNow)
            let confirmed = age.map { "; its state was last confirmed \(Int($0.seconds)) s ago" }
            let hearsay = await health.hearsay[id].map { $0.sentence + (confirmed ?? "") }
            return HealthStory(
                subject: cluster, verdict: status.verdict, sinceSeconds: status.sinceSeconds,
                weight: status.weight, capacity: status.capacity,
                hearsay: hearsay, membership: nil,
                paths: status.paths, events: history)
        }
        let there = try await nodes().filter { $0.cluster.name == cluster }
        guard let known = there.first(where: { $0.name == node }) else {
            throw AdminFault(
                unknown: "node", "\(cluster)/\(node)", among: there.map { "\(cluster)/\($0.name)" },
                hint: "weft node list shows them; of a flow, name its destination, too")
        }
        return HealthStory(
            subject: "\(cluster)/\(node)", verdict: known.verdict,
            sinceSeconds: known.sinceSeconds, weight: known.weight, membership: known.membership,
            paths: status.paths.filter { $0.remoteNode == node }, events: history)
    }

    /// Nil: no heartbeats go there.
    private static func overlay(of path: MeshReachability.PathStatus) -> OverlayAnswer? {
        guard path.insideMissed != nil else { return nil }
        return path.overlayIsSilent ? .silent : .answers
    }

    private func name(of state: PathState) -> VerdictName {
        switch state {
        case .unknown: .unknown
        case .up: .up
        case .suspect: .suspect
        case .down: .unreachable
        }
    }

    /// Resident set size, from the second field of /proc/self/statm in pages of 4 KiB.
    func residentBytes() -> UInt64 {
        guard let data = try? Data(contentsOf: URL(filePath: "/proc/self/statm")) else { return 0 }
        let fields = String(decoding: data, as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (UInt64(fields[1]) ?? 0) * 4096 : 0
    }
}
