// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshAgent

/// Endpoints that come and go, a publisher that allocates, and a lease store and a ledger that
/// outlive it: the ledger without its latest changes.
private struct AllocationWorld {
    struct Workload {
        var labels: Int
        /// What its node has for it.
        var number: UInt32?
        /// Its node is silent: it keeps the number, and nobody knows it as an endpoint any more.
        var isLost = false
    }
    struct Meaning {
        var labels: Int
        /// When the last endpoint that had the number was gone. Nil: there is one.
        var usedUntil: Instant?
    }

    /// Longer than this no change of the ledger stays unacknowledged.
    static let acknowledgement = 5
    static let quarantine = IdentityAllocator.quarantine

    let last: UInt32
    var random: SeededGenerator
    var now = Instant.zero + .seconds(1)
    var allocator: IdentityAllocator
    var workloads: [Int: Workload] = [:]
    var nextWorkload = 0
    /// Durable: what a new publisher begins with.
    var mark: UInt32 = 0
    var ledger: [UInt32: Int] = [:]
    var unacknowledged: [(number: UInt32, labels: Int?)] = []
    /// The ledger as the publisher sees it.
    var published: [UInt32: Int] = [:]

    var meanings: [UInt32: Meaning] = [:]
    var markAtStart: UInt32 = 0
    /// By this publisher, to labels that didn't have them.
    var newlyGiven: UInt32 = 0
    var faults: [String] = []
    var handOuts = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        last = 255 + [8, 40, 700, 3000].randomElement(using: &random)!
        allocator = IdentityAllocator(cluster: cluster(1), last: last, startedAt: now)
    }

    static func labels(_ number: Int) -> Labels { ["n": "\(number)"] }

    mutating func run(steps: Int) {
        reserve(completes: true)
        for _ in 0..<steps {
            switch random.next() % 200 {
            case 0..<85: start()
            case 85..<135: change { $0[$1] = nil }
            case 135..<143: change { $0[$1]?.isLost = true }
            case 143..<151: findAgain()
            case 151..<171: pass(seconds: Int(random.next() % 3))
            case 171..<187: pass(seconds: Int(random.next() % 3000))
            case 187..<198: reserve(completes: true)
            default: failOver()
            }
        }
    }

    private mutating func start() {
        let id = nextWorkload
        nextWorkload += 1
        let kinds = Int(last - 255) + Int(last - 255) / 2
        workloads[id] = Workload(labels: Int(random.next() % UInt64(kinds)), number: nil)
        report(id)
    }

    /// The node says that it has the workload, and maybe what number it had for it.
    private mutating func report(_ id: Int) {
        guard let workload = workloads[id] else { return }
        let claimed = workload.number.flatMap { random.chance(0.7) ? identity($0) : nil }
        let given = allocator.identity(
            for: Self.labels(workload.labels), claimed: claimed, at: now)
        guard let given else {
            workloads[id]?.number = nil
            release(workload)
            return
        }
        check(given.local, for: workload.labels, isNew: given != claimed)
        meanings[given.local] = Meaning(labels: workload.labels, usedUntil: nil)
        publish(given.local, workload.labels)
        // All that waited for a number for these labels have one now.
        for other in workloads.keys
        where other == id
            || workloads[other]?.labels == workload.labels && workloads[other]?.number == nil
        {
            workloads[other]?.number = given.local
        }
        if workload.number != given.local { release(workload) }
    }

    private mutating func publish(_ number: UInt32, _ labels: Int?) {
        guard published[number] != labels else { return }
        published[number] = labels
        unacknowledged.append((number, labels))
    }

    private mutating func check(_ number: UInt32, for labels: Int, isNew: Bool) {
        handOuts += 1
        if mark <= last, number >= mark, meanings[number] == nil {
            faults.append("\(number) isn't reserved, the mark is \(mark)")
        }
        guard meanings[number]?.labels != labels else { return }
        if isNew { newlyGiven += 1 }
        if newlyGiven > mark - min(markAtStart, mark) {
            faults.append("\(newlyGiven) numbers from \(mark - markAtStart) reserved ones")
        }
        guard let former = meanings[number] else { return }
        guard let until = former.usedUntil else {
            faults.append("\(number) is in use for \(former.labels), and given to \(labels)")
            return
        }
        if now - until < Self.quarantine {
            faults.append("\(number) meant \(former.labels) \((now - until).seconds) s ago")
        }
    }

    private mutating func change(_ body: (inout [Int: Workload], Int) -> Void) {
        let known = workloads.filter { !$0.value.isLost }.keys.sorted()
        guard let id = known.randomElement(using: &random), let workload = workloads[id]
        else { return }
        body(&workloads, id)
        release(workload)
    }

    /// `former` no longer has its number.
    private mutating func release(_ former: Workload) {
        guard let number = former.number,
            !workloads.values.contains(where: { $0.number == number && !$0.isLost })
        else { return }
        // One that was lost has ended before.
        if let meaning = meanings[number], meaning.labels == former.labels,
            meaning.usedUntil == nil
        {
            meanings[number]?.usedUntil = now
        }
        guard published[number] == former.labels else { return }
        allocator.release(identity(number), at: now)
        publish(number, nil)
    }

    private mutating func findAgain() {
        let lost = workloads.filter(\.value.isLost).keys.sorted()
        guard let id = lost.randomElement(using: &random) else { return }
        workloads[id]?.isLost = false
        report(id)
    }

    private mutating func pass(seconds: Int) {
        now = now + .seconds(seconds)
        if seconds >= Self.acknowledgement { acknowledge(unacknowledged.count) }
    }

    private mutating func acknowledge(_ count: Int) {
        for change in unacknowledged.prefix(count) { ledger[change.number] = change.labels }
        unacknowledged.removeFirst(count)
    }

    private mutating func reserve(completes: Bool) {
        guard let wanted = allocator.reservationNeeded(at: now) else { return }
        mark = max(mark, wanted)
        if completes { allocator.reserved(upTo: wanted) }
    }

    private mutating func failOver() {
        // The answer to the last reservation may be lost with whoever asked for it.
        if random.chance(0.3) { reserve(completes: false) }
        acknowledge(Int(random.next() % UInt64(unacknowledged.count + 1)))
        unacknowledged = []
        published = ledger
        pass(seconds: Int(random.next() % 4))
        markAtStart = mark
        newlyGiven = 0
        allocator = IdentityAllocator(
            cluster: cluster(1), mark: mark, last: last, startedAt: now)
        for (number, labels) in ledger.sorted(by: { $0.key < $1.key }) {
            _ = allocator.adopt(
                IdentityRecord(identity: identity(number), labels: Self.labels(labels)))
        }
        if random.chance(0.8) { reserve(completes: true) }
        for id in workloads.filter({ !$0.value.isLost }).keys.sorted().shuffled(using: &random) {
            report(id)
        }
        // Everybody has spoken: what nobody has any more goes.
        for number in published.keys.sorted()
        where !workloads.values.contains(where: { $0.number == number && !$0.isLost }) {
            allocator.release(identity(number), at: now)
            publish(number, nil)
        }
    }
}

@Suite("Numbers for labels, whatever happens to publishers")
struct IdentityModelTests {
    @Test(
        "no number means two sets of labels within the quarantine, and none is given unreserved",
        arguments: Replay.seeds(200))
    func quarantine(seed: UInt64) {
        var world = AllocationWorld(seed: seed)
        world.run(steps: 600)
        #expect(
            world.faults.isEmpty,
            "\(world.faults.prefix(3)): \(Replay.hint(seed, filter: "IdentityModelTests"))")
        #expect(world.handOuts > 50)
    }
}
