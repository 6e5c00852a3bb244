// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshPolicy
import MeshStore

/// Compiles the own cluster's policies for this node's endpoints, and keeps the kernel's policy sets
/// equal to that.
///
/// Changed policies are another book: sets that it changes are compiled, all of them go into the
/// kernel, and only then one store for each set puts them in force. Where something doesn't fit, all
/// stays as it was. A changed peer touches the lists of that peer alone, and so does a policy the
/// lists of those whom its rules mean, unless everybody goes by it or it tells other addresses apart.
struct PolicyReconciler {
    /// What an endpoint's row in the kernel says of its policies.
    typealias Placements = [Address: EndpointPlacement]

    private let datapath: any Datapath
    private let environment: PolicyEnvironment
    private let own: ClusterID
    /// Whether open flows follow a change.
    var renewsFlows: Bool

    private var subjects: PolicySubjects
    /// What is in force; nil before the first book is.
    private var force: PolicyForce?
    private var sets: [Principal: UInt32] = [:]
    /// Of the policies' table: judged, if not adopted.
    private var policiesSeen: UInt64?
    /// Sets without endpoints, to be removed when the endpoints' rows are gone from the kernel.
    private var abandoned: [UInt32] = []
    private var wasComplete = false
    private var hasPruned = false
    private(set) var placements: Placements = [:]
    /// Endpoints whose set the kernel refused.
    private var unplaced: Set<Address> = []
    /// The set in the kernel's row of each, as far as it was written.
    private var rowSets: [Address: UInt32] = [:]
    private var bookFailure: String?
    private var placementFailure: String?
    private var cleanupFailure: String?
    /// What didn't fit isn't tried again at every change of anything.
    private var backOff: (revision: UInt64, until: Instant, delay: Duration)?
    private(set) var isRetryDue = false
    private(set) var history = PolicyHistory()

    init(
        datapath: any Datapath, environment: PolicyEnvironment, own: ClusterID, renewsFlows: Bool
    ) {
        self.datapath = datapath
        self.environment = environment
        self.own = own
        self.renewsFlows = renewsFlows
        subjects = PolicySubjects(own: own, cluster: environment.cluster)
    }

    /// A sentence about what isn't as it should be.
    var failure: String? { bookFailure ?? placementFailure ?? cleanupFailure }

    /// The book in force, nil as long as the cluster's policies aren't known.
    var book: PolicyBook? { force?.book }
    var peers: [PeerKey: PolicyPeer] { force?.peers.all ?? [:] }
    var subjectsByAddress: [Address: PolicySubjects.Subject] { subjects.all }
    var setCount: Int { sets.count }
    var versionCount: Int { force?.versions.count ?? 0 }
    var unplacedCount: Int { unplaced.count }
    var unknownCount: Int { peers.values.count { !$0.isSettled } }
    /// Whether the newest policies are in force.
    var isCurrent: Bool { force != nil && bookFailure == nil }
    /// How often changed policies were compiled, or tried to be.
    private(set) var attempts: UInt64 = 0

    /// Takes in what changed in the tables.
    ///
    /// - Returns: endpoints whose placement changed: their rows are to be written.
    mutating func pass(_ store: MeshStore, _ tables: MeshTables, now: Instant) -> Set<Address> {
        guard tables.policies.isComplete else { return [] }
        isRetryDue = false
        cleanupFailure = nil
        for set in abandoned { datapath.removePolicySet(set) }
        abandoned = []
        pruneAdopted(tables)
        if force != nil { adoptPeers(tables) }
        if policiesSeen != tables.policies.revision {
            if let backOff, backOff.revision == tables.policies.revision, now < backOff.until {
                isRetryDue = true
            } else {
                adoptBook(tables, now)
                settle(store, tables)
            }
        }
        guard force != nil else { return [] }
        return place(subjects.update(tables).union(unplaced))
    }

    /// Sets of an earlier process go when no endpoint's row has them any more.
    private mutating func pruneAdopted(_ tables: MeshTables) {
        guard !hasPruned, tables.endpoints.isComplete, force != nil else { return }
        // The rows of what is gone go at the end of the pass that sees it first.
        guard wasComplete else {
            wasComplete = true
            return
        }
        hasPruned = true
        let used = Set(sets.values)
        attempt { try $0.removePolicySets(except: used) }
    }

    private func settle(_ store: MeshStore, _ tables: MeshTables) {
        var failures: [PolicyName: String] = [:]
        if let failure = bookFailure {
            for row in tables.policies.rows { failures[row.key] = failure }
        }
        store.write { [failures] in
            $0.policies.settle(
                through: tables.policies.revision, failures: failures, isWhole: true)
        }
    }

    // MARK: Books

    private static let backOffMinimum = Duration.milliseconds(500)
    private static let backOffMaximum = Duration.seconds(30)

    private mutating func adoptBook(_ tables: MeshTables, _ now: Instant) {
        attempts += 1
        let book: PolicyBook
        do throws(PolicyOverflow) {
            book = try PolicyBook(
                tables.policies.rows.map(\.policy), environment: environment, after: force?.book)
        } catch {
            // Nothing but other policies can help.
            policiesSeen = tables.policies.revision
            bookFailure = "\(error)"
            return
        }
        var generation: UInt32?
        do {
            let (next, drafts) =
                try force?.following(book, sets) ?? compile(book, tables, &generation)
            let former = try enforce(next, drafts)
            policiesSeen = tables.policies.revision
            bookFailure = nil
            backOff = nil
            clear(after: former)
        } catch {
            if let generation { attempt { try $0.removePolicyBlocks(generation) } }
            bookFailure = "\(error)"
            isRetryDue = true
            let delay = min(
                (backOff?.delay).map { $0 * 2 } ?? Self.backOffMinimum, Self.backOffMaximum)
            backOff = (tables.policies.revision, now + delay, delay)
        }
    }

    private func compile(
        _ book: PolicyBook, _ tables: MeshTables, _ generation: inout UInt32?
    ) throws -> (PolicyForce, [PolicyForce.Draft]) {
        var blocks = force?.blocks ?? PolicyBlocks()
        var peers: PolicyPeers
        if let force, force.book.classes == book.classes {
            peers = force.peers
        } else {
            blocks = try blocks.next(book.classes.prefixes, in: datapath)
            if blocks.generation != 0 { generation = blocks.generation }
            peers = PolicyPeers(own: own, classes: book.classes, tables)
        }
        var next = PolicyForce(book: book, blocks: blocks, peers: peers)
        for (principal, number) in sets {
            let set = book.set(for: principal)
            if next.versions[set] == nil {
                next.versions[set] = PolicyForce.Version(compiled: try next.compile(set))
            }
            next.versions[set]?.sets.insert(number)
        }
        next.known = Set(peers.all.filter { $0.value.isSettled }.keys.map(blocks.peer)).union(
            ([nil] + book.classes.prefixes.map { Optional($0) }).map {
                blocks.peer(PeerKey(identity: .world, prefix: $0))
            })
        return (
            next,
            next.versions.map { set, version in
                PolicyForce.Draft(
                    set: set, image: next.image(of: version.compiled, for: set),
                    sets: version.sets.sorted())
            }
        )
    }

    /// Puts all of a book in force, or nothing of it.
    ///
    /// - Returns: what was in force before.
    private mutating func enforce(
        _ wanted: PolicyForce, _ drafts: [PolicyForce.Draft]
    ) throws -> PolicyForce? {
        var next = wanted
        var known = force?.known ?? []
        if force == nil {
            // Of an earlier process: nobody made lists for those that aren't known here.
            known = datapath.knownPeers().intersection(next.known)
            try datapath.forgetKnownPeers(datapath.knownPeers().subtracting(known))
        }
        let newcomers = next.known == known ? [] : next.known.subtracting(known)
        try datapath.setKnownPeers(newcomers)
        do {
            let numbers = try datapath.publishPolicies(drafts.map { ($0.image, $0.sets) })
            for (draft, number) in zip(drafts, numbers) {
                next.versions[draft.set]?.number = number
            }
            history.begin(next.book, next.versions.values.map(\.number))
        } catch {
            attempt { try $0.forgetKnownPeers(newcomers) }
            throw error
        }
        if renewsFlows, !drafts.isEmpty { datapath.renewVerdicts() }
        defer { force = next }
        return force
    }

    private mutating func clear(after former: PolicyForce?) {
        guard let former, let force else { return }
        if former.blocks.generation != force.blocks.generation, former.blocks.generation != 0 {
            attempt { try $0.removePolicyBlocks(former.blocks.generation) }
        }
        guard former.known != force.known else { return }
        attempt { try $0.forgetKnownPeers(former.known.subtracting(force.known)) }
    }

    // MARK: Peers

    private mutating func adoptPeers(_ tables: MeshTables) {
        guard var force else { return }
        self.force = nil  // Else its tables would be copied.
        defer { self.force = force }
        let changed = force.peers.update(tables)
        guard !changed.isEmpty else { return }
        var isNews = false
        for key in changed.sorted() {
            let peer = force.blocks.peer(key)
            do {
                if try force.judge(key, datapath), force.known.contains(peer) { isNews = true }
                if force.peers.all[key]?.isSettled != true {
                    force.known.remove(peer)
                    try datapath.forgetKnownPeers([peer])
                } else if force.known.insert(peer).inserted {
                    try datapath.setKnownPeers([peer])
                }
            } catch {
                // Its lists may say what was true before: all is made anew, and a newcomer counts as
                // unknown until then.
                force.known.remove(peer)
                attempt { try $0.forgetKnownPeers([peer]) }
                // Without lists of its own it is allowed what everybody is: that takes no room.
                for (set, version) in force.versions where !set.isEmpty {
                    guard let number = version.sets.first else { continue }
                    attempt { try $0.setPolicyPeer(peer, egress: nil, ingress: nil, in: number) }
                }
                isNews = true
                force.isSound = false
                policiesSeen = nil
                bookFailure = "identity \(key.identity): \(error)"
                isRetryDue = true
            }
        }
        if isNews, renewsFlows { datapath.renewVerdicts() }
    }

    // MARK: This node's endpoints

    private mutating func place(_ changed: Set<Address>) -> Set<Address> {
        guard !changed.isEmpty else { return [] }
        var moved: Set<Address> = []
        unplaced = []
        placementFailure = nil
        for address in changed.sorted() {
            guard let subject = subjects.all[address] else {
                placements[address] = nil
                rowSets[address] = nil
                continue
            }
            guard let set = set(for: subject.principal) else {
                // Its row stays as it is; one that has none reaches nobody.
                unplaced.insert(address)
                placements[address] = nil
                continue
            }
            rowSets[address] = set
            let placement = EndpointPlacement(policySet: set, isAudited: subject.isAudited)
            guard placements[address] != placement else { continue }
            placements[address] = placement
            moved.insert(address)
        }
        let used = Set(subjects.all.values.map(\.principal))
        let held = Set(rowSets.values)
        for (principal, number) in sets
        where !used.contains(principal) && !held.contains(number) {
            sets[principal] = nil
            abandoned.append(number)
            guard let set = force?.book.set(for: principal) else { continue }
            force?.versions[set]?.sets.remove(number)
            if force?.versions[set]?.sets.isEmpty == true { force?.versions[set] = nil }
        }
        return moved
    }

    /// The number of the set that endpoints like this have, with a version in force.
    private mutating func set(for principal: Principal) -> UInt32? {
        if let number = sets[principal] { return number }
        guard let force else { return nil }
        let set = force.book.set(for: principal)
        var issued: UInt32?
        do {
            let number = try datapath.newPolicySet()
            issued = number
            if let other = force.versions[set]?.sets.first {
                try datapath.sharePolicy(number, with: other)
            } else {
                let compiled = try self.force!.compile(set)
                let version = try datapath.publishPolicy(
                    force.image(of: compiled, for: set), as: number)
                history.add(version)
                self.force?.versions[set] = PolicyForce.Version(compiled: compiled, number: version)
            }
            self.force?.versions[set]?.sets.insert(number)
            sets[principal] = number
            return number
        } catch {
            if let issued { datapath.removePolicySet(issued) }
            placementFailure = "policies of endpoints in \(principal.namespace): \(error)"
            isRetryDue = true
            return nil
        }
    }

    // MARK: Failures

    /// What can't be taken away stays in the kernel, and in nobody's way.
    private mutating func attempt(_ body: (any Datapath) throws -> Void) {
        do {
            try body(datapath)
        } catch {
            cleanupFailure = "\(error)"
        }
    }
}
