// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshDatapath
import MeshLease
import MeshMembership
import MeshModel
import MeshStore
import MeshTransport
import MeshTrust

// MARK: What is exported, in the words of the catalogue

extension AdminBridge {
    func metrics() async throws -> [MetricFamily] {
        var page = MetricPage()
        let tables = store.snapshot()
        let readings = try datapath.counters()
        let maps = try filledMaps()
        let state = await state.figures(at: .bootNow)
        let figures = await health.figures
        let census = ClusterCensus(tables)

        page.add(
            .agentInfo,
            .init(1, weftVersion, configuration.clusterName.rawValue, configuration.node.name))
        page.set(.processStart, startedUnixSeconds)
        page.set(.processMemory, residentBytes())
        page.set(.manifestProblems, state.manifestProblems)
        addClusters(to: &page, tables, census, figures, await health.capacities)
        addBackends(to: &page, await backends.counts, tables)
        addState(to: &page, state, tables, statementsIgnored: await mesh.ignored)
        await addObjects(to: &page)
        addDatapath(to: &page, readings, maps)
        addFlows(to: &page, readings, tables)
        page.set(.applyDelay, await reconciliation.delays.apply)
        page.set(.datapathFailures, await reconciliation.failures.count)
        addPolicies(to: &page, readings, tables, await reconciliation.policyFigures)
        page.set(.policyCompile, await reconciliation.delays.compile)
        addTrust(to: &page)
        if let outcomes = await mesh.attestationOutcomes {
            page.begin(.attestations)
            for (outcome, count) in outcomes { page.set(.attestations, count, outcome.rawValue) }
        }
        addTransport(to: &page, statistics.snapshot, await health.membershipCounters)
        page.set(.links, state.links)
        if configuration.metrics.compatibility == .cilium {
            addCompatible(to: &page, readings, maps, state, figures, census)
        }
        return page.families
    }

    /// With the entries of those that the programs fill.
    private func filledMaps() throws -> [MapReading] {
        let counted = census.entries
        return try datapath.mapUsage().map { $0.counting(counted[$0.name]) }
    }

    private func addClusters(
        to page: inout MetricPage, _ tables: MeshTables, _ census: ClusterCensus,
        _ figures: HealthFigures, _ capacities: [ClusterID: (workload: Workload, share: Double)]
    ) {
        let words = census.clusters.map { ($0, datapath.clusterWord($0.id)) }
        func count(_ metric: Metric, _ verdicts: [Verdict]) {
            let counts = verdicts.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            for verdict in Verdict.allCases {
                page.set(metric, counts[verdict] ?? 0, VerdictName(verdict).rawValue)
            }
        }
        count(.clusters, words.map { $0.1.verdict ?? .unknown })
        count(
            .nodes,
            tables.nodes.unorderedRows.map { datapath.nodeWord($0.id).verdict ?? .unknown })
        // Whoever isn't up has its name in the scrape, however many clusters there are.
        let urgent = words.filter { $0.1.verdict != .up } + words.filter { $0.1.verdict == .up }
        for (row, word) in urgent {
            page.set(
                .clusterVerdict, (word.verdict ?? .unknown).rawValue, row.name.rawValue)
        }
        for (row, word) in words {
            let name = row.name.rawValue
            page.add(.clusterWeight, .init(Double(word.weight) / Double(UInt8.max), name))
            for verdict in Verdict.allCases {
                let count = figures.changes[row.id]?[verdict] ?? 0
                page.add(
                    .clusterVerdictChanges,
                    .init(Double(count), name, VerdictName(verdict).rawValue))
            }
            if let workload = capacities[row.id]?.workload {
                page.add(.clusterCapacity, .init(Double(workload.capacity) / 1000, name))
                page.add(.clusterSpare, .init(Double(workload.spare) / 1000, name))
            }
            page.set(.clusterNodes, census.nodes[row.id] ?? 0, name)
            page.set(.clusterEndpoints, census.endpoints[row.id] ?? 0, name)
        }
        page.set(.failoverGap, figures.gap)
    }

    private func addBackends(
        to page: inout MetricPage, _ counts: BackendHealthService.Counts, _ tables: MeshTables
    ) {
        page.set(.backendsQuarantined, tables.quarantines.count)
        page.count(.backendQuarantines, counts.quarantined)
        page.count(.backendReleases, counts.released)
        page.count(.backendProbes, counts.probes)
        page.set(.backendSpared, counts.spared)
    }

    private func addState(
        to page: inout MetricPage, _ state: StateFigures, _ tables: MeshTables,
        statementsIgnored: UInt64
    ) {
        for ledger in state.ledgers {
            let name = reference(ledger.owner, tables).name
            if let age = ledger.age { page.add(.ledgerAge, .init(age.seconds, name)) }
            page.set(.ledgerRecords, ledger.records, name)
            page.set(.ledgerQuarantined, ledger.quarantined, name)
            page.set(.ledgerRefused, ledger.refused, name)
            page.set(.ledgerFrozen, ledger.isFrozen ? 1 : 0, name)
        }
        for (reason, count) in state.rejections.sorted(by: { $0.key < $1.key }) {
            page.set(.ledgerRejected, count, reason)
        }
        let faults = state.faults.merging(["statement_ignored": statementsIgnored]) { $0 + $1 }
        for (kind, count) in faults.sorted(by: { $0.key < $1.key }) {
            page.set(.stateFaults, count, kind)
        }
        page.set(.publisherAnswers, state.publisherAnswers)
        page.set(.isPublisher, state.isPublisher)
        page.set(.stateComplete, state.isComplete)
    }

    private func addDatapath(
        to page: inout MetricPage, _ readings: [CounterReading], _ maps: [MapReading]
    ) {
        for reading in readings {
            switch reading.subject {
            case .drop(let reason):
                page.set(.droppedPackets, reading.packets, reason.label)
                page.set(.droppedBytes, reading.bytes, reason.label)
            case .counter(.eventsLost): break
            case .counter(let counter) where DatapathCounter.forwarding.contains(counter):
                page.set(.forwardedPackets, reading.packets, counter.label)
                page.set(.forwardedBytes, reading.bytes, counter.label)
            case .counter(.audited): break
            case .counter(let counter):
                page.set(.datapathEvents, reading.packets, counter.label)
            }
        }
        for map in maps {
            page.set(.mapCapacity, map.capacity, map.name)
            guard let entries = map.entries else { continue }
            page.set(.mapEntries, entries, map.name)
            page.add(.mapPressure, .init(map.pressure ?? 0, map.name))
        }
        for (map, count) in datapath.writeCount.byMap.sorted(by: { $0.key < $1.key }) {
            page.set(.mapWrites, count, map)
        }
    }

    private func addPolicies(
        to page: inout MetricPage, _ readings: [CounterReading], _ tables: MeshTables,
        _ figures: PolicyFigures
    ) {
        let states = tables.policies.entries.reduce(into: [PolicyStatus.State: Int]()) {
            switch $1.status {
            case .done: $0[.enforced, default: 0] += 1
            case .pending: $0[.pending, default: 0] += 1
            case .error: $0[.refused, default: 0] += 1
            }
        }
        for state in PolicyStatus.State.allCases {
            page.set(.policies, states[state] ?? 0, state.rawValue)
        }
        page.set(.policySets, figures.sets)
        page.set(.policyVersions, figures.versions)
        page.set(.policiesInForce, figures.isCurrent)
        page.set(.policyUnplaced, figures.unplaced)
        page.set(.policyUnknown, figures.unknown)
        let audited = readings.first { $0.subject == .counter(.audited) }?.packets ?? 0
        page.set(.policyWouldDeny, audited)
    }

    private func addTrust(to page: inout MetricPage) {
        let now = Date()
        let lives = TrustedLife.all(links.security, authority: authority?.present)
        for life in lives {
            let kind = life.kind.rawValue
            let cluster = life.cluster.rawValue
            page.add(
                .certificateLeft,
                .init(life.life.notAfter.timeIntervalSince(now), kind, cluster))
            page.add(
                .certificateLeftRatio, .init(life.life.fractionLeft(at: now), kind, cluster))
        }
        for (cluster, count) in denialCounts(now: now) { page.set(.denials, count, cluster) }
    }

    private func addTransport(
        to page: inout MetricPage, _ transport: TransportCounters,
        _ membership: MembershipCounters
    ) {
        for reason in TransportRejection.allCases {
            page.set(.transportRejected, transport[reason], reason.rawValue)
        }
        page.set(.heartbeatsReceived, transport.heartbeatsReceived)
        let labelled: [(Metric, KeyValuePairs<String, UInt64>)] = [
            (
                .overlayHeartbeats,
                [
                    "sent": transport.heartbeatsSentInside,
                    "received": transport.heartbeatsReceivedInside,
                ]
            ),
            (
                .gossipDatagrams,
                ["sent": transport.gossipSent, "received": transport.gossipReceived]
            ),
            (
                .gossipBytes,
                ["sent": transport.gossipBytesSent, "received": transport.gossipBytesReceived]
            ),
            (
                .responderProbes,
                ["asked": transport.probesSent, "answered": transport.probesAnswered]
            ),
            (
                .membershipEvents,
                [
                    "probe": membership.probes, "probe-failed": membership.probesFailed,
                    "accusation": membership.accusations,
                    "accusation-withheld": membership.accusationsWithheld,
                    "refutation": membership.refutations, "death": membership.deaths,
                    "death-doubted": membership.deathsDoubted, "revival": membership.revivals,
                    "late": membership.late,
                ]
            ),
            (
                .membershipRejected,
                [
                    "unknown-sender": membership.unknownSenders, "oversized": membership.oversized,
                    "unsupported-version": membership.unsupportedVersions,
                    "malformed": membership.malformed, "stranger": membership.strangers,
                    "strange-testimony": membership.strangeTestimonies,
                    "errand-refused": membership.errandsRefused,
                ]
            ),
        ]
        for (metric, values) in labelled {
            for (label, value) in values { page.set(metric, value, label) }
        }
    }
}

// MARK: Series of Cilium's names

extension AdminBridge {
    private func addCompatible(
        to page: inout MetricPage, _ readings: [CounterReading], _ maps: [MapReading],
        _ state: StateFigures, _ figures: HealthFigures, _ census: ClusterCensus
    ) {
        let own = configuration.clusterName.rawValue
        let node = configuration.node.name
        let remote = census.clusters.filter { !$0.isLocal }
        page.add(.ciliumGlobalServices, .init(Double(state.globalServices), own, node))
        page.add(.ciliumRemoteClusters, .init(Double(remote.count), own, node))
        let held = Set(state.ledgers.filter { $0.age != nil }.map(\.owner))
        for row in remote {
            let verdict = datapath.clusterWord(row.id).verdict ?? .unknown
            let isReady =
                held.contains(row.id) && [.up, .probation, .draining].contains(verdict)
            let failures = figures.failures[row.id] ?? HealthFigures.Failures()
            let values: [(Metric, Double)] = [
                (.ciliumRemoteReadiness, isReady ? 1 : 0),
                (.ciliumRemoteFailures, Double(failures.count)),
                (.ciliumRemoteLastFailure, Double(failures.lastUnixSeconds)),
                (.ciliumRemoteNodes, Double(census.nodes[row.id] ?? 0)),
                (.ciliumRemoteServices, Double(census.services[row.id]?.count ?? 0)),
                (.ciliumRemoteEndpoints, Double(census.endpoints[row.id] ?? 0)),
            ]
            for (metric, value) in values {
                page.add(metric, .init(value, own, node, row.name.rawValue))
            }
        }
        for map in maps {
            guard let pressure = map.pressure else { continue }
            page.add(
                .ciliumMapPressure, .init(pressure, String(map.name.trimmingPrefix("weft_"))))
        }
        for reading in readings {
            switch reading.subject {
            case .drop(let reason):
                let words = Metric.ciliumReason(reason.label)
                page.add(.ciliumDropCount, .init(Double(reading.packets), words, "UNKNOWN"))
                page.add(.ciliumDropBytes, .init(Double(reading.bytes), words, "UNKNOWN"))
            case .counter(let counter) where DatapathCounter.forwarding.contains(counter):
                let direction = counter == .delivered ? "INGRESS" : "EGRESS"
                page.set(.ciliumForwardCount, reading.packets, direction)
                page.set(.ciliumForwardBytes, reading.bytes, direction)
            case .counter: break
            }
        }
    }
}

/// How much there is of each cluster, own first. It goes through nodes and services, not through endpoints.
struct ClusterCensus {
    let clusters: [ClusterRow]
    let nodes: [ClusterID: Int]
    let endpoints: [ClusterID: Int]
    let services: [ClusterID: Set<ObjectName>]

    init(_ tables: MeshTables) {
        let rows = tables.clusters.rows
        clusters = rows.filter(\.isLocal) + rows.filter { !$0.isLocal }
        nodes = tables.nodes.unorderedRows.reduce(into: [:]) { $0[$1.id.cluster, default: 0] += 1 }
        endpoints = tables.endpoints.endpointsByNode.reduce(into: [:]) {
            $0[$1.key.cluster, default: 0] += $1.value
        }
        services = tables.frontends.unorderedRows.reduce(into: [:]) { services, frontend in
            for slice in frontend.slices {
                services[slice.cluster, default: []].insert(frontend.service)
            }
        }
    }
}

extension MetricPage {
    fileprivate mutating func count<Key: RawRepresentable<String>>(
        _ metric: Metric, _ counts: [Key: UInt64]
    ) {
        begin(metric)
        for (key, count) in counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            set(metric, count, key.rawValue)
        }
    }
}

extension MapReading {
    /// Nil where entries aren't counted.
    fileprivate var pressure: Double? {
        entries.flatMap { capacity > 0 ? Double($0) / Double(capacity) : nil }
    }
}
