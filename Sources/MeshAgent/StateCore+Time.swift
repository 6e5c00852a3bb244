// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshReplication
import MeshStore
import MeshTransport

// MARK: Time

extension StateCore {
    /// Call every 100 ms.
    ///
    /// - Parameter realTime: seconds since 1970.
    mutating func tick(
        at now: Instant, realTime: UInt64, into effects: inout [StateEffect]
    ) {
        self.realTime = realTime
        judgeCandidacy(at: now, into: &effects)
        tickLease(at: now, into: &effects)
        flush(into: &effects)
        noteReceipt(at: now)
        if hasMoved {
            hasMoved = false
            announce(into: &effects)
        }
        if !isComplete || !knowsPolicies {
            if !isImpatient, now - startedAt > Self.completionPatience {
                isImpatient = true
                tables.releaseHeld()
            }
            settle(into: &effects)
        }
        if isOpen { heardPublisher(at: now) }
        judgePublisher(at: now, into: &effects)
        judgeByLinks(at: now, into: &effects)
        keepRelays(at: now, into: &effects)
        if now >= nextSaying {
            nextSaying = now + Self.sayingInterval
            tellOwn(drainMessage, into: &effects)
            sayThatPublishing(into: &effects)
        }
        if now >= nextMaintenance {
            nextMaintenance = now + Self.maintenanceInterval
            perform(&effects) { core, replication in
                core.synchroniser.tick(at: now, realTime: realTime, into: &replication)
            }
            announceHeadsInTurn(into: &effects)
            fetchRelaySets(into: &effects)
            callBack(at: now, into: &effects)
            judgeSilences(at: now, into: &effects)
            readmit(into: &effects)
            forgetStrangers(at: now, into: &effects)
            updateInterest(into: &effects)
            publish(publisher?.tick(at: now) ?? [], into: &effects)
        }
    }

    /// Of hundreds of peers each hears of hundreds of ledgers: a share of them with each call.
    private mutating func announceHeadsInTurn(into effects: inout [StateEffect]) {
        headsTurn = (headsTurn + 1) % Self.headsTurns
        let turn = headsTurn
        perform(&effects) { core, replication -> Void in
            let due = core.links.keys.sorted().enumerated()
                .filter { $0.offset % Self.headsTurns == turn }.map(\.element.replication)
            core.synchroniser.announceHeads(over: due, into: &replication)
        }
    }

    /// Says to everybody where this node stands with these clusters' ledgers: who has more sends it.
    mutating func announceHeads(of clusters: [ClusterID], into effects: inout [StateEffect]) {
        perform(&effects) { core, replication -> Void in
            core.synchroniser.announceHeads(of: clusters, into: &replication)
        }
    }

    /// Asks everybody for what there is of a cluster's ledger beyond what is here.
    mutating func catchUp(
        with cluster: ClusterID, at now: Instant, into effects: inout [StateEffect]
    ) {
        guard now >= askedFor[cluster, default: .zero] + Self.askingInterval,
            cluster == configuration.cluster || peers.contains(where: { $0.id == cluster })
        else { return }
        askedFor[cluster] = now
        announceHeads(of: [cluster], into: &effects)
    }

    /// Others' word about the own ledger came in, or time passed without.
    mutating func noteReceipt(at now: Instant) {
        guard isOpen else { return }
        acknowledgement.heldElsewhere(
            synchroniser.heldElsewhere(of: configuration.cluster), at: now)
    }

    mutating func heardPublisher(at now: Instant) {
        if now - publisherHeard > Self.publisherSilence { publisherReturned = now }
        publisherHeard = now
    }

    /// Goes by the nodes' reports while the publisher is silent, and until its ledger has what they
    /// said meanwhile: a publisher that starts anew answers before it can publish.
    mutating func judgePublisher(at now: Instant, into effects: inout [StateEffect]) {
        let isSilent = now - publisherHeard > Self.publisherSilence
        if isSilent, !view.usesReports {
            effects.append(.note(.publisherLost))
            applyOwn(view.setPublisherAnswers(false), into: &effects)
        } else if !isSilent, view.usesReports,
            view.isLedgerUpToDate || now - publisherReturned > catchUpLimit
        {
            effects.append(.note(.publisherBack))
            applyOwn(view.setPublisherAnswers(true), into: &effects)
        }
    }

    /// After rows changed: what health has to watch, and whether everybody has spoken.
    mutating func settle(into effects: inout [StateEffect]) {
        hasMoved = true
        followListedNodes(into: &effects)
        let basis = PlanBasis(
            nodes: store.read { $0.nodes.revision }, peers: peers,
            inUse: tables.clustersInUse, relaySets: tables.relaySets, distrusted: distrusted)
        if basis != planBasis {
            planBasis = basis
            synchroniser.receiptsOf = isRelay ? configuration.cluster : nil
            effects.append(.dial)
            writeOwnPrefixes()
            effects.append(.health(.follow(healthPlan(inUse: basis.inUse))))
        }
        if !knowsPolicies, mayKnowPolicies {
            knowsPolicies = true
            store.write {
                $0.policies.declareComplete()
                $0.namespaces.declareComplete()
            }
        }
        let everybody = [configuration.cluster] + peers.map(\.id)
        // A head that has moved isn't enough: after a restart deltas arrive batch by batch, and what
        // is pruned before the last one is missing from the kernel until it comes.
        // What is on disk may be older than the kernel's maps: somebody has to confirm it, or nobody
        // be there to.
        guard !isComplete, hasSpoken, isImpatient || !links.isEmpty || isAlone,
            everybody.allSatisfy({
                synchroniser.head(of: $0).map { $0.position > .origin } ?? false
            }),
            isImpatient || links.keys.allSatisfy({ synchroniser.isCaughtUp(with: $0.replication) })
        else { return }
        isComplete = true
        // What a complete table lacks is pruned: nothing may be held back any longer.
        tables.releaseHeld()
        store.write {
            $0.frontends.declareComplete()
            $0.endpoints.declareComplete()
            $0.nodes.declareComplete()
            $0.identities.declareComplete()
        }
        effects.append(.note(.complete))
    }

    /// Whether the own cluster's policies are here: from this node's disk, from a publisher or, if
    /// none answers, from the nodes' reports. Endpoints that start before wait.
    private var mayKnowPolicies: Bool {
        guard hasSpoken else { return false }
        if restoredOwn || isOpen || isComplete { return true }
        if view.usesReports { return isImpatient }
        let hasLedger = synchroniser.head(of: configuration.cluster).map { $0.position > .origin }
        return hasLedger ?? false
            && links.contains {
                $0.value.cluster == configuration.cluster
                    && synchroniser.isCaughtUp(with: $0.key.replication)
            }
    }

    func announce(into effects: inout [StateEffect]) {
        let rollup = synchroniser.rollup
        effects.append(
            .health(
                .announce(
                    relaySet: tables.relaySets[configuration.cluster]?.generation ?? 0,
                    head: synchroniser.head(of: configuration.cluster)?.position ?? .origin,
                    rollup: RollupHash(
                        high: rollup.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                        low: rollup.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }))))
    }

    /// The own cluster's prefixes are those of all its nodes: a packet to one of their pods that isn't
    /// known must not leave by the host's default route.
    func writeOwnPrefixes() {
        store.write { [configuration] tables in
            let ofNodes = tables.nodes.unorderedRows.lazy.filter {
                $0.id.cluster == configuration.cluster
            }
            let prefixes = Set(ofNodes.flatMap(\.podPrefixes)).union(configuration.podPrefixes)
            tables.clusters.upsert(
                ClusterRow(
                    id: configuration.cluster, name: configuration.clusterName,
                    podPrefixes: prefixes.sorted(), sourceCheck: .node, isLocal: true))
        }
    }

    /// - Complexity: goes through the nodes and the clusters once; sorts neither.
    func healthPlan(inUse: Set<ClusterID>) -> HealthService.Plan {
        let nodes = store.snapshot().nodes
        var plan = HealthService.Plan(
            clusters: peers.map(\.id), inUse: inUse.sorted(), relaySets: tables.relaySets)
        plan.nodes.reserveCapacity(nodes.count)
        for node in nodes.unorderedRows {
            plan.nodes.insert(node.id)
            guard !node.isLocal else { continue }
            if node.isDraining { plan.draining.append(node.id) }
            guard node.id.cluster == configuration.cluster else { continue }
            plan.members[node.id] = HealthService.Plan.Member(
                address: healthAddress(of: node),
                keys: distrusted.contains(node.id) ? [] : node.gossipKeys)
        }
        plan.draining.sort()
        let local = relays
        for peer in peers {
            let paths = RelayChoice.paths(
                from: local,
                to: relays(of: peer.id).compactMap { NodeID(cluster: peer.id, name: $0) })
            // Paired before those are left out whose address isn't known yet: the peer pairs them so.
            for path in paths {
                guard let remote = nodes[path.remote] else { continue }
                plan.paths.append(
                    PathPlan(
                        path: path, isInUse: inUse.contains(peer.id),
                        isSingle: paths.count == 1, wasUp: wasUp.contains(peer.id)))
                plan.addresses[path] = healthAddress(of: remote)
            }
        }
        return plan
    }

    private func healthAddress(of node: NodeRow) -> TransportAddress {
        TransportAddress(address: node.outerAddresses[0], port: configuration.ports.health)
    }
}
