// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshAdmin
import MeshDatapath
import MeshEndpoints
import MeshEtcd
import MeshKubernetes
import MeshLease
import MeshModel
import MeshPolicy
import MeshReachability
import MeshReplication
import MeshStore
import MeshTransport
import MeshTrust
import NIOCore
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// The agent of one node: puts the parts together and decides nothing.
public enum Agent {
    /// What hasn't ended by then is cancelled: whoever restarts an agent must not wait for a part of it.
    private static let shutdownLimit = Duration.seconds(5)

    /// Runs until SIGTERM or SIGINT. The datapath goes on without it.
    ///
    /// - Throws: whatever keeps it from starting; then nothing was changed.
    public static func run(
        _ readConfiguration: @escaping @Sendable () throws -> ConfigurationLayers
    ) async throws {
        let layers = try readConfiguration()
        var configuration = try AgentConfiguration(layers)
        let (file, settings) = (layers.file, layers.settings)
        let (log, level) = makeLogger(configuration)
        let kubernetes = try configuration.kubernetes.map { try KubernetesAccess($0) }
        if let joining = AttestedJoining(configuration, kubernetes, log) {
            guard try await untilSignal({ try await joining.obtainFirst() }) != nil else { return }
        }
        if let kubernetes {
            configuration = try await OwnNode(
                folder: configuration.paths.state, log: log, ask: kubernetes.node
            ).complete(configuration)
        }
        let peerFolder = PeerFolder(folder: configuration.paths.peers, own: configuration)
        for problem in peerFolder.problems {
            log.error("A peer's file can't be used", metadata: ["problem": "\(problem)"])
        }
        let trust = try TrustMaterial(configuration, peers: peerFolder.peers)
        do {
            try trust.check()
        } catch {
            // Its endpoints are served all the same, and a clock may be set right.
            log.error(
                "Other nodes won't believe this node's certificate",
                metadata: ["error": "\(error)", "hint": "issue one with `weft ca issue`"])
        }
        let folder = try FolderWatcher(path: configuration.paths.manifests)

        let overlay = try OverlayDevice(configuration)
        let datapath: KernelDatapath
        do {
            datapath = try makeDatapath(configuration, overlay)
        } catch {
            try overlay.undo()
            throw error
        }
        let endpoints = try EndpointManager(
            EndpointManager.Configuration(
                podPrefixes: configuration.podPrefixes, underlayMTU: overlay.underlayMTU,
                underlayIsIPv6: !configuration.underlay.isIPv4,
                stateFile: configuration.paths.state + "/endpoints.json"))
        let restored = endpoints.restore { endpoint in
            try datapath.attach(endpointInterface: endpoint.interfaceIndex)
        }
        try overlay.open()
        for object in restored.lost {
            log.notice(
                "An endpoint is gone with its namespace", metadata: ["endpoint": "\(object)"])
        }
        for interface in restored.strayInterfaces {
            try datapath.detach(endpointInterface: interface)
        }
        for failure in restored.failed {
            log.error("An endpoint can't be restored", metadata: ["error": "\(failure)"])
        }
        log.info(
            "The datapath is in place", metadata: ["endpoints": "\(restored.restored.count)"])

        try await serve(
            configuration, peerFolder, trust,
            AgentGround(
                datapath: datapath, beats: datapath.beats, endpoints: endpoints,
                kubernetes: kubernetes, lead: nil), folder, log
        ) { apply in
            ConfigurationService(file: file, settings, log: log, read: readConfiguration) {
                configuration in
                level.level = configuration.logLevel
                await apply(configuration)
            }
        }
    }

    static func makeLogger(_ configuration: AgentConfiguration) -> (Logger, SharedLogLevel) {
        let level = SharedLogLevel(configuration.logLevel)
        var log = Logger(label: "weftd") {
            SharedLevelHandler(StreamLogHandler.standardError(label: $0), level)
        }
        log[metadataKey: "node"] = "\(configuration.node.name)"
        return (log, level)
    }

    private static func makeDatapath(
        _ configuration: AgentConfiguration, _ overlay: OverlayDevice
    ) throws -> KernelDatapath {
        var datapath = DatapathConfiguration(
            node: configuration.node, underlayAddress: configuration.underlay,
            underlayMTU: UInt16(clamping: overlay.underlayMTU), overlayInterface: overlay.index,
            pinDirectory: configuration.paths.bpf, cgroupPath: configuration.paths.cgroup)
        datapath.flowEvents = configuration.flowEvents
        datapath.deniedAnswer = configuration.policy.denied.answer
        datapath.responder = ProbeResponder(
            interface: overlay.underlayIndex, port: configuration.ports.health)
        return try KernelDatapath(datapath)
    }

    static func serve(
        _ configuration: AgentConfiguration, _ peerFolder: PeerFolder, _ trust: TrustMaterial,
        _ ground: AgentGround, _ folder: FolderWatcher, _ log: Logger,
        _ follow: (@escaping ConfigurationService.Apply) -> ConfigurationService
    ) async throws {
        let (datapath, endpoints, kubernetes) = (
            ground.datapath, ground.endpoints, ground.kubernetes
        )
        let isApart = ground.lead != nil
        let startedAt = Instant.monotonicNow
        let peers = peerFolder.peers
        let drainFile = DurableFile(path: configuration.paths.state + "/drain")
        let departureFile = DurableFile(path: configuration.paths.state + "/departure")
        let isRestart = !datapath.frontendKeys().isEmpty
        let store = MeshStore()
        let statistics = TransportStatistics()

        // Health has a thread of its own: it never waits for state.
        let healthGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let linkGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let socket = DatagramSocket(
            own: configuration.node,
            addresses: isApart
                ? []
                : [
                    TransportAddress(
                        address: configuration.underlay, port: configuration.ports.health)
                ], statistics: statistics, group: healthGroup,
            inside: ground.beats.map { Self.sender(inside: $0, log) })

        var effects: [StateEffect] = []
        let (journal, recovered) = try StateJournal.open(
            folder: configuration.paths.state, own: configuration.cluster,
            mayPublish: configuration.mayPublish, now: .bootNow,
            realTime: realTimeNanoseconds())
        for damage in recovered.damages {
            log.error("A journal is set aside", metadata: ["reason": "\(damage)"])
        }
        let denials = try Denials(mesh: configuration.mesh, state: configuration.paths.state)
        let authority =
            configuration.mayPublish
            ? AuthorityService(
                configuration: configuration, authority: trust.authority, denials: denials,
                log: log) : nil
        let etcd = try makeEtcd(configuration, log)
        let leaseStore = makeLeaseStore(configuration, etcd, kubernetes)
        var core = StateCore(
            configuration: configuration, peers: peers, store: store,
            authorities: try trust.security.ledgerAuthorities(denials: denials.book),
            candidacy: makeCandidacy(configuration, authority, leaseStore, ground.lead?.keeper),
            drain: try readDrain(drainFile),
            wasUp: Set(peers.map(\.id).filter { datapath.clusterWord($0).verdict == .up }),
            held: Set(endpoints.endpoints.map(\.object)),
            judged: judged(configuration.members, of: configuration.cluster, datapath),
            now: .bootNow, into: &effects)
        core.gossipKeys = socket.gossipKeys
        // Before the first report: what it lacked would be gone from the ledger.
        let desk = try makeDesk(configuration, authority, core)
        core.trustRecords = try desk?.records() ?? [:]
        core.resume(try readDeparture(departureFile), into: &effects)
        let owners = Set([configuration.cluster] + peers.map(\.id))
        core.restore(
            recovered.ledgers.filter { owners.contains($0.owner) }, ages: recovered.ages,
            at: .bootNow, into: &effects)
        if !configuration.listsNodes {
            core.recall(judged(core.members, of: configuration.cluster, datapath))
        }

        var linking = LinkConfiguration(
            // Nobody dials an authority apart from nodes, which may share its node's address.
            listen: TransportAddress(
                address: configuration.underlay, port: isApart ? 0 : configuration.ports.state),
            clusterID: configuration.cluster, incarnation: realTimeNanoseconds(),
            security: trust.security)
        linking.denied = denials.denied
        let links = try LinkService(
            configuration: linking, statistics: statistics, logger: log, group: linkGroup)
        let prober = BackendProber(
            namespace: { endpoints.namespace(behind: $0, toward: $1) }, datapath: datapath,
            timeout: BackendHealthParameters.default.probeTimeout)
        let backends = BackendHealthService(
            own: configuration.node, store: store, datapath: datapath, log: log,
            prober: prober.probe)
        let (inputs, healthInputs) = AsyncStream.makeStream(of: HealthInput.self)
        if isApart { healthInputs.finish() }
        let health = HealthService(
            loop: healthGroup.next(), own: configuration.node, instance: .random(in: 1...(.max)),
            profile: configuration.healthProfile, socket: socket, inputs: inputs,
            suspicions: backends.suspicions, datapath: datapath, log: log)
        let capacity = CapacityService(
            file: configuration.capacityFile, health: healthInputs, log: log)
        let ender = FlowEnder(endpoints: endpoints, log: log)
        let life = UInt64.random(in: 1...(.max))
        // A question's number is never another one's, whatever was asked before a restart.
        let exchange = FlowExchange(seed: life >> 1) { _ = links.send($0, on: $1) }
        let accounts = AccountExchange(seed: life >> 1) {
            exchange.link(to: $0)
        } send: {
            _ = links.send($0, on: $1)
        }
        let (batches, commits) = AsyncStream.makeStream(of: PublishedBatch.self)
        let podMemory = PodMemory(configuration)
        let state = StateService(
            core: core, effects: effects, links: links, socket: socket, folder: folder,
            endpoints: endpoints, health: health, healthInputs: healthInputs, ender: ender,
            flows: exchange, accounts: accounts, journal: journal, leaseStore: leaseStore,
            store: configuration.publisher.store == .etcd ? commits : nil, drainFile: drainFile,
            departureFile: departureFile,
            census: ConnectionCensus(datapath: datapath, endpoints: endpoints),
            authority: authority, pods: isApart ? [:] : try podMemory.pods,
            log: log)
        let objects = kubernetes.map { access in
            ObjectService(
                settings: access.settings, hasPods: !isApart, state: state,
                memory: podMemory, log: log, reflect: access.reflect)
        }
        let reconciliation = ReconcileService(
            store: store, datapath: datapath,
            policies: PolicyReconciler(
                datapath: datapath,
                environment: PolicyEnvironment(
                    cluster: configuration.clusterName, scope: configuration.policy.scope),
                own: configuration.cluster,
                renewsFlows: configuration.policy.openFlows == .renew),
            isRestart: isRestart, log: log)
        let hub = FlowHub<FlowEvent>()
        let ledger = FlowLedger()
        let denying = DenyService(
            configuration: configuration, denials: denials, links: links, state: state,
            authority: authority, settle: ground.settle, log: log)
        let trustFiles = try TrustService(
            configuration: configuration, folder: peerFolder,
            credentials: trust.security.credentials, links: links, state: state,
            denials: denying, authority: authority, log: log)
        let mesh = MeshService(
            configuration: configuration, desk: desk, records: core.trustRecords, state: state,
            links: links, statistics: statistics,
            attestations: makeAttestations(configuration, authority, kubernetes),
            settle: ground.settle, log: log)
        let rotation = try makeRotation(configuration, authority, mesh, log)
        let following = follow { configuration in
            authority?.nodeLifetimeSeconds = configuration.nodeCertificateSeconds
            await capacity.read(configuration.capacityFile)
            await state.setMembers(configuration.members)
            await mesh.follow(configuration)
            await reconciliation.renewFlows(configuration.policy.openFlows == .renew)
        }
        let census = MapCensus(datapath: datapath, log: log)
        let bridge = AdminBridge(
            configuration: configuration, startedAt: startedAt, store: store, datapath: datapath,
            endpointManager: endpoints, state: state, objects: objects, health: health,
            backends: backends,
            trust: trustFiles, mesh: mesh, rotation: rotation, denying: denying, links: links,
            authority: authority, reconciliation: reconciliation, statistics: statistics, hub: hub,
            ledger: ledger, exchange: exchange, accounts: accounts, socket: socket,
            following: following, census: census)
        let admin = AdminServer(
            provider: bridge,
            configuration: AdminServer.Configuration(
                folder: configuration.paths.run, metricsPort: configuration.metricsPort,
                pagePort: configuration.pagePort),
            logger: log)
        let flows = FlowService(
            datapath: datapath, hub: hub, ledger: ledger, store: store, state: state, log: log)
        // Stopped from the last to the first: the reader of the links ends with them.
        var services: [any Service] = [reconciliation, socket]
        if let beats = ground.beats {
            services.append(OverlayBeatService(beats: beats, socket: socket, log: log))
        }
        // Who has no workloads judges nobody's health.
        if !isApart { services += [health, capacity, backends] }
        services += [
            state, links, denying, trustFiles,
            mesh, flows, FlowAnswering(bridge: bridge, life: life),
            AccountAnswering(exchange: accounts) { await bridge.account(for: $0) }, following,
            census, admin,
        ]
        if let joining = AttestedJoining(configuration, kubernetes, log) {
            services.append(joining)
        }
        if let authority { services.append(authority) }
        if let rotation { services.append(rotation) }
        if let authority, !configuration.isHome {
            services.append(
                DelegateService(
                    configuration: configuration, authority: authority, state: state,
                    links: links, log: log
                ) { makeCandidacy(configuration, authority, leaseStore) })
        }
        if let objects, let kubernetes {
            services.append(objects)
            services.append(
                ExportService(
                    objects: objects, state: state, cluster: configuration.clusterName, log: log,
                    write: kubernetes.write))
            services.append(
                EventService(
                    node: configuration.node.name, log: log,
                    problems: {
                        await objects.problems(
                            isPublisher: state.isPublisher, contests: state.serviceContests)
                    },
                    read: kubernetes.answer, write: kubernetes.write))
        }
        if let etcd {
            services.insert(EtcdService(client: etcd), at: 0)
            if configuration.publisher.store == .etcd {
                services.append(
                    SharedStoreService(
                        store: EtcdLedgerStore(client: etcd, cluster: configuration.clusterName),
                        state: state, commits: batches, log: log))
            }
        }
        var members = services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) }
        if let lead = ground.lead {
            members.append(
                .init(
                    service: LeadershipWatch(state: state, lead: lead, log: log),
                    successTerminationBehavior: .gracefullyShutdownGroup))
        }
        var lifecycle = ServiceGroupConfiguration(
            services: members, gracefulShutdownSignals: [.sigterm, .sigint], logger: log)
        lifecycle.maximumGracefulShutdownDuration = Self.shutdownLimit
        let group = ServiceGroup(configuration: lifecycle)
        log.notice(
            "weftd runs",
            metadata: [
                "cluster": "\(configuration.clusterName)", "peers": "\(peers.count)",
                "version": "\(weftVersion)",
            ])
        try await group.run()
        kubernetes?.close()
        try await linkGroup.shutdownGracefully()
        try await healthGroup.shutdownGracefully()
    }
}
