// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle

/// Brings an API server's objects to this node's state: its own pods always, the whole cluster's
/// objects while ``StateCore/wantsObjects(at:)``.
///
/// What the server last said stays in force while it doesn't answer, for as long as that takes.
actor ObjectService: Service, ObjectConsumer {
    /// Lists and watches until it is cancelled; see ``ObjectEvent``.
    typealias Reflect = @Sendable (ObjectSelection, any ObjectConsumer) async -> Void

    /// How often it is looked whether the whole cluster's objects are wanted.
    private static let wishInterval = Duration.milliseconds(250)

    /// Nil where no pods run.
    private let pods: ObjectSelection?
    private let state: any ObjectSink
    private let reflect: Reflect
    private let memory: PodMemory
    private let log: Logger
    private var index = ObjectIndex()
    /// Of the whole cluster's objects, while they are watched.
    private var claims = ObjectClaims()
    /// What is watched of the whole cluster; empty while this node isn't asked to.
    private var selections: [ObjectSelection] = []
    /// Whether nodes are watched for themselves: without them this one finds nobody to ask.
    private var seeksNodes = false
    private var watches: [ObjectSelection: Task<Void, Never>] = [:]
    /// Whether all of it was handed to the state: before, half a cluster's services would look as if
    /// the other half were gone.
    private var hasHandedOver = false
    /// What the state hasn't taken yet; nil: nothing.
    private var pending: [RecordKey: [UInt8]?]?
    private var handing: Task<Void, Never>?
    private var knownProblems: Set<ManifestProblem> = []

    init(
        settings: KubernetesSettings, hasPods: Bool = true, state: any ObjectSink,
        memory: PodMemory, log: Logger, reflect: @escaping Reflect
    ) {
        pods = hasPods ? ObjectSelections.ownPods(of: settings.nodeName) : nil
        self.state = state
        self.memory = memory
        self.log = log
        self.reflect = reflect
    }

    func run() async {
        if let pods { watch(pods) }
        let ticks = AsyncTimer(every: Self.wishInterval)
        for await _ in ticks.cancelOnGracefulShutdown() {
            let isWanted = await state.wantsObjects
            if isWanted, selections.isEmpty {
                begin()
            } else if !isWanted, !selections.isEmpty {
                await end()
            }
            await seekNodes(selections.isEmpty ? state.wantsNodes : false)
            if hasHandedOver { claims.follow(await state.objectRules, records: index.records) }
        }
        for task in watches.values { task.cancel() }
        for task in watches.values { await task.value }
    }

    private func watch(_ selection: ObjectSelection) {
        guard watches[selection] == nil else { return }
        watches[selection] = Task { [reflect] in await reflect(selection, self) }
    }

    private func seekNodes(_ isWanted: Bool) async {
        guard isWanted != seeksNodes else { return }
        seeksNodes = isWanted
        if isWanted {
            watch(ObjectSelections.nodes)
        } else if selections.isEmpty {
            watches[ObjectSelections.nodes]?.cancel()
            await watches.removeValue(forKey: ObjectSelections.nodes)?.value
            _ = index.forget(ObjectSelections.nodes)
        }
    }

    private func begin() {
        log.notice("The API server is asked for the whole cluster's objects")
        hasHandedOver = false
        selections = ObjectSelections.ofCluster
        for selection in selections { watch(selection) }
    }

    private func end() async {
        log.notice("The publisher asks the API server for the whole cluster's objects")
        let ended = selections
        selections = []
        for selection in ended { watches[selection]?.cancel() }
        for selection in ended { await watches.removeValue(forKey: selection)?.value }
        for selection in ended { _ = index.forget(selection) }
        hasHandedOver = false
        claims = ObjectClaims()
        pending = nil
        await handing?.value
        await state.dropObjects()
    }

    func receive(_ event: ObjectEvent, of selection: ObjectSelection) async {
        let isSought = seeksNodes && selection == ObjectSelections.nodes
        guard selection == pods || isSought || selections.contains(selection) else { return }
        let changes = index.receive(event, of: selection, nowUnixSeconds: Int64(unixSeconds()))
        if case .health(let health) = event { note(health, of: selection) }
        if changes.problemsMoved { noteProblems() }
        if let pods, selection == pods {
            // Before the first list has ended, what was known of the pods before counts.
            guard index.isComplete([pods]), changes.podsMoved || changes.completes else { return }
            await tellPods()
            return
        }
        if selection == ObjectSelections.nodes, !hasHandedOver, index.isComplete([selection]),
            changes.completes || !changes.records.isEmpty
        {
            // The rest of the objects may take their time; whom to ask may not.
            await state.setNodes(index.members)
        }
        if !hasHandedOver {
            guard !selections.isEmpty, index.isComplete(selections) else { return }
            hasHandedOver = true
            await handOver(index.records.mapValues { $0 })
        } else if !changes.records.isEmpty {
            await handOver(changes.records)
        }
    }

    /// In the order in which the index took it, though several watches bring events at once.
    private func handOver(_ changes: [RecordKey: [UInt8]?]) async {
        claims.setNodes(index.nodePrefixes)
        claims.update(changes, records: index.records)
        pending = (pending ?? [:]).merging(changes) { $1 }
        if handing == nil {
            handing = Task {
                while let next = pending {
                    pending = nil
                    await state.setObjects(next)
                }
                handing = nil
            }
        }
        await handing?.value
    }

    private func tellPods() async {
        do {
            try memory.write(index.pods)
        } catch {
            log.error("This node's pods can't be written down", metadata: ["error": "\(error)"])
        }
        await state.setPods(index.pods)
    }

    private func note(_ health: FeedHealth, of selection: ObjectSelection) {
        let resource = "\(selection.resource)"
        if health.phase == .absent, let older = ObjectSelections.older[selection],
            !selections.contains(older)
        {
            selections.append(older)
            watch(older)
        }
        if let error = health.lastError {
            log.warning(
                "The API server doesn't answer as it should",
                metadata: ["resource": "\(resource)", "error": "\(error)"])
        } else {
            log.info(
                "A watch of the API server",
                metadata: ["resource": "\(resource)", "phase": "\(health.phase.rawValue)"])
        }
    }

    private func noteProblems() {
        let problems = Set(index.problems)
        for problem in problems.subtracting(knownProblems).sorted(by: { $0.file < $1.file }) {
            log.warning("An object is not in force", metadata: ["problem": "\(problem)"])
        }
        knownProblems = problems
    }

    // MARK: Views

    /// The whole cluster's ServiceExports, and whether there is a Service of the name; empty unless all
    /// of them are known here.
    var exports: [Export] {
        guard hasHandedOver else { return [] }
        let older = index.health[ObjectSelections.exports]?.phase == .absent
        return index.exports.sorted { $0.key < $1.key }.map { name, manifest in
            Export(
                service: name, manifest: manifest,
                hasService: index.has(name, in: ObjectSelections.services),
                resource: (older ? ObjectSelections.olderExports : ObjectSelections.exports)
                    .resource)
        }
    }

    var problems: [ManifestProblem] { index.problems }
    var problemCount: Int { index.problemCount }

    /// What this node is to tell the objects' authors.
    ///
    /// - Parameters:
    ///   - isPublisher: whether it tells what concerns the whole cluster.
    ///   - contests: of the cluster's services, those in a folder included.
    func problems(
        isPublisher: Bool, contests: [ServiceContest] = []
    ) -> [ObjectProblem] {
        guard isPublisher else {
            return index.objectProblems.filter { $0.resource == pods?.resource }
        }
        let lost = contests.lazy.filter { [index] in
            index.has($0.service, in: ObjectSelections.services)
        }.prefix(ObjectIndex.problemsMaximum)
        return index.objectProblems + claims.problems
            + lost.map { ObjectProblem(.collides, .services, $0.service, "\($0)") }
    }

    /// What the cluster's objects claim that isn't theirs, a sentence each; of the contests of services there is
    /// word elsewhere.
    var claimProblems: [String] {
        claims.problems.map {
            let name = $0.name.namespace.isEmpty ? $0.name.name : "\($0.name)"
            return "\($0.resource.kind) \(name): \($0.message)"
        }
    }

    /// What the API server is to be told about services of the mesh; nil if it can't be, or this node
    /// doesn't know what it has.
    var importView: ImportView? {
        guard hasHandedOver else { return nil }
        let selection = [ObjectSelections.imports, ObjectSelections.olderImports].first {
            index.health[$0]?.phase == .synced
        }
        guard let version = selection?.resource.version else { return nil }
        let namespaces = index.records.keys.filter { $0.kind == .namespace }.map(\.name)
        return ImportView(
            version: version, present: index.imported, conditions: index.importConditions,
            addresses: index.derivedAddresses, namespaces: Set(namespaces))
    }

    /// One for each watch, in the order of their names.
    var sources: [ObjectSource] {
        watches.keys.sorted { "\($0.resource)" < "\($1.resource)" }.map {
            ObjectSource(
                resource: "\($0.resource)", health: index.health[$0], objects: index.count(of: $0))
        }
    }
}

/// A ServiceExport of the own cluster.
struct Export: Sendable {
    let service: ObjectName
    let manifest: ServiceExportManifest
    /// Of any type.
    let hasService: Bool
    let resource: ObjectResource
}

/// Whom ``ObjectService`` brings objects to.
protocol ObjectSink: Sendable {
    /// Whether it wants the whole cluster's objects.
    var wantsObjects: Bool { get async }
    /// Whether it knows nobody of its cluster.
    var wantsNodes: Bool { get async }
    /// What the API server says of the cluster's nodes, as long as that is all it was asked for.
    func setNodes(_ nodes: [String: MemberRecord]) async
    /// What the API server says of this node's pods.
    func setPods(_ pods: [ObjectName: PodManifest]) async
    /// What it says of the whole cluster: all of it at first, changes later; nil where an object is gone.
    func setObjects(_ changes: [RecordKey: [UInt8]?]) async
    func dropObjects() async
    /// What its objects may claim.
    var objectRules: ObjectClaims.Rules { get async }
}

extension StateService: ObjectSink {}

/// What of imports an API server has.
struct ImportView: Sendable {
    /// Of ServiceImport.
    let version: String
    let present: Set<ImportPlan.Target>
    /// Of ServiceImports.
    let conditions: [ObjectName: [ObjectCondition]]
    let addresses: [ObjectName: [Address]]
    /// Nothing is imported into one that isn't there.
    let namespaces: Set<String>
}

/// How one watch stands.
struct ObjectSource: Sendable {
    let resource: String
    /// Nil before the first attempt.
    let health: FeedHealth?
    let objects: Int
}
