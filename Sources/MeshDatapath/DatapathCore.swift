// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CMeshABI
internal import Dispatch
internal import MeshModel
internal import Synchronization

/// The only writer of the maps, whatever they are made of. ``Datapath`` says what it does.
public final class DatapathCore: Sendable {
    /// When memory that was published may be used again.
    enum Reclamation: Sendable {
        /// There are no readers but this process.
        case immediate
        /// After every program that runs now has ended, away from whoever writes.
        case afterReaders
    }

    struct State: Sendable {
        var services: ServiceTable
        var nodes: NodeTable
        var endpoints: EndpointTable
        var prefixes: PrefixTable
        var policies: PolicyTable
        var isReclaiming = false

        var isRetiring: Bool { !services.retired.isEmpty || !policies.retired.isEmpty }
    }

    let state: Mutex<State>
    /// Outside of the lock: a verdict on a cluster waits for nobody.
    let clusters: any WordArray
    let writes: WriteCounter
    let storage: Storage
    private let reclamation: Reclamation

    /// Takes over what the maps hold; the local node and cluster take new flows from the start.
    init(
        _ storage: Storage, local: NodeID, writes: WriteCounter, reclamation: Reclamation
    ) throws(DatapathError) {
        self.storage = storage
        self.writes = writes
        self.reclamation = reclamation
        clusters = storage.clusters
        let nodes = try NodeTable(storage, local: local)
        state = Mutex(
            State(
                services: try ServiceTable(storage), nodes: nodes,
                endpoints: EndpointTable(storage), prefixes: try PrefixTable(storage),
                policies: try PolicyTable(storage)))
        admit(local.cluster)
        state.withLock { scheduleReclaim(&$0) }
    }

    /// Lets a cluster that nobody has said anything about take new flows.
    func admit(_ cluster: ClusterID) {
        clusters.publishIfZero(NodeTable.initialWord.rawValue, at: Int(cluster.rawValue))
    }

    /// Without the generation of policies, which is none of a verdict on the cluster.
    func clusterWord(_ cluster: ClusterID) -> LivenessWord {
        LivenessWord(rawValue: clusters.word(at: Int(cluster.rawValue))).with(policyGeneration: 0)
    }

    /// Has open flows with these clusters, with any other in use, inside the node and with what is
    /// outside the mesh judged anew.
    func renewVerdicts(clusters inUse: Set<ClusterID>) {
        // A word of zero would stay one that takes no new flows.
        for cluster in inUse { admit(cluster) }
        for index in 0..<clusters.count where index == 0 || clusters.word(at: index) != 0 {
            clusters.update(at: index) { LivenessWord(rawValue: $0).renewingVerdicts.rawValue }
        }
    }

    // MARK: memory that programs may still read

    /// Milliseconds in which retired memory gathers, so that many changes wait once.
    private static let gatherMilliseconds = 50

    private static let queue = DispatchQueue(label: "weft.datapath.reclaim")

    /// Frees retired memory before it returns, or leaves it retired when the kernel can't say that
    /// no program reads it.
    func reclaim(_ services: inout ServiceTable) {
        let memory = services.takeRetired()
        guard !memory.isEmpty else { return }
        if case .afterReaders = reclamation {
            do {
                try Readers.waitForAll()
            } catch {
                return services.keepRetired(memory)
            }
        }
        services.release(memory)
    }

    /// The same for what policies no longer use.
    func reclaim(_ policies: inout PolicyTable) {
        guard !policies.retired.isEmpty || !policies.awaited.isEmpty else { return }
        if case .afterReaders = reclamation {
            do { try Readers.waitForAll() } catch { return }
        }
        policies.awaitReaders()
        policies.releaseAwaited()
    }

    /// Sees to it that retired memory becomes free.
    func scheduleReclaim(_ state: inout State) {
        guard state.isRetiring, !state.isReclaiming else { return }
        switch reclamation {
        case .immediate:
            reclaim(&state.services)
            reclaim(&state.policies)
        case .afterReaders:
            state.isReclaiming = true
            Self.queue.asyncAfter(deadline: .now() + .milliseconds(Self.gatherMilliseconds)) {
                [weak self] in self?.reclaimInBackground()
            }
        }
    }

    private func reclaimInBackground() {
        let services = state.withLock { state in
            state.isReclaiming = false
            state.policies.awaitReaders()
            return state.services.takeRetired()
        }
        do {
            try Readers.waitForAll()
        } catch {
            return state.withLock { $0.services.keepRetired(services) }
        }
        state.withLock { state in
            state.services.release(services)
            state.policies.releaseAwaited()
        }
    }
}
