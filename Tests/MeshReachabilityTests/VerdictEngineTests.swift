// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@Suite("The verdict of a cluster about another")
struct VerdictEngineTests {
    static let start = Instant(nanoseconds: 3_600_000_000_000)
    static let two = ClusterID(rawValue: 2)!
    static let three = ClusterID(rawValue: 3)!

    var engine = VerdictEngine()
    var effects = VerdictEffects()
    var now = start
    var sequence: UInt64 = 0

    init() {
        for cluster in [Self.two, Self.three] { engine.add(cluster, at: now) }
    }

    /// Relay i reports `missed[i]` missing beats on its path to `cluster`; nil abstains, and so do
    /// those that are late.
    mutating func report(
        _ missed: [Int?], of cluster: ClusterID = two, drain: DrainDeclaration = .never,
        late: Set<Int> = [], capacity: Workload? = nil
    ) {
        sequence += 1
        for (index, missed) in missed.enumerated() {
            let count = missed ?? 9
            let state: PathState = count >= 3 ? .down : count >= 2 ? .suspect : .up
            let path = PathStatus(
                remote: NodeID(cluster: cluster, name: "r\(index)")!, state: state,
                missed: UInt8(count), beats: state == .up ? 20 : 0,
                silence: .milliseconds(200 * count), roundTrip: nil, drain: drain,
                head: .origin, relaySetGeneration: 0, workload: capacity)
            engine.receive(
                RelayReport(
                    relay: "\(cluster)-\(index)", sequence: sequence, instance: 1,
                    isAbstaining: missed == nil || late.contains(index), paths: [path]),
                at: now, into: &effects)
        }
    }

    /// The relays have been counted for long enough that a verdict may get worse.
    mutating func settle() { now = now + .milliseconds(250) }

    func verdict(_ cluster: ClusterID = two) -> Verdict? { engine.word(of: cluster)?.verdict }

    @Test(
        "needs a quorum of the counted paths, and enough missing beats in all",
        arguments: [
            ([0, 0, 0], Verdict.up), ([2, 0, 0], .up), ([9, 0, 0], .up),
            ([2, 2, 0], .suspect), ([3, 3, 0], .suspect), ([3, 3, 1], .unreachable),
            ([4, 3, 0], .unreachable), ([3, 2, 2], .suspect),
            ([2, 0], .up), ([9, 0], .up), ([2, 2], .suspect), ([3, 2], .suspect),
            ([3, 3], .unreachable), ([2], .up), ([3], .up), ([4], .suspect), ([5], .suspect),
            ([6], .unreachable),
            // Those that abstain aren't counted, for or against.
            ([nil, 2, 2], .suspect), ([nil, 3, 0], .up), ([nil, nil, 4], .suspect),
            ([nil, nil, nil], .up),
        ] as [([Int?], Verdict)])
    mutating func quorum(missed: [Int?], expected: Verdict) {
        report(missed.map { _ in 0 })
        #expect(verdict() == .up)
        settle()
        report(missed)
        #expect(verdict() == expected)
        #expect(engine.word(of: Self.two)?.weight == (expected == .up ? 255 : 0))
        #expect(engine.word(of: Self.two)?.generation == (expected == .unreachable ? 1 : 0))
    }

    @Test(
        "unanswered connections are one voice in a suspicion, never the only one, and never in a death",
        arguments: [
            ([0, 0, 0], Verdict.up), ([3, 0, 0], .up), ([4, 0, 0], .suspect),
            ([9, 0, 0], .suspect),
            ([1, 1, 1], .up), ([3, 3, 0], .suspect), ([3, 3, 1], .unreachable),
            ([9, 1, 1], .suspect),
            ([0, 0], .up), ([3, 0], .up), ([4, 0], .suspect), ([3, 3], .unreachable),
            ([1], .up), ([3], .up), ([4], .suspect), ([5], .suspect), ([6], .unreachable),
        ] as [([Int], Verdict)])
    mutating func contradiction(missed: [Int], expected: Verdict) {
        report(missed.map { _ in 0 })
        settle()
        engine.contradict(Self.two, true, at: now, into: &effects)
        #expect(verdict() == .up)
        report(missed)
        #expect(verdict() == expected)
        #expect(engine.word(of: Self.two)?.generation == (expected == .unreachable ? 1 : 0))
        engine.contradict(Self.two, false, at: now, into: &effects)
        let isQuorate = missed.count { $0 >= 2 } > missed.count / 2
        #expect(verdict() == (expected == .suspect && !isQuorate ? .up : expected))
    }

    @Test("suspicions that rest on unanswered connections make no cluster doubt itself")
    mutating func contradictionAndDoubt() {
        engine.use([Self.two, Self.three], at: now, into: &effects)
        for cluster in [Self.two, Self.three] { report([0, 0, 0], of: cluster) }
        settle()
        engine.contradict(Self.three, true, at: now, into: &effects)
        report([4, 0, 0], of: Self.three)
        #expect(verdict(Self.three) == .suspect)
        report([4, 4, 4])
        #expect(verdict() == .unreachable && !engine.isDoubtingItself)
    }

    @Test("relays that are late accuse nobody, but what they hear lives")
    mutating func lateness() {
        report([0, 0, 0])
        settle()
        // One relay's peer is dead; without the others' word it would be all there is.
        for missed in 0...9 {
            now = now + .milliseconds(200)
            report([missed, 0, 0], late: [1, 2])
            #expect(verdict() == .up)
        }
        #expect(engine.evidence(of: Self.two)?.counted == 3)
        report([0, 9, 9], late: [1, 2])
        #expect(verdict() == .up && engine.evidence(of: Self.two)?.counted == 1)
        // What a relay said that is no longer heard counts for nothing, late or not.
        now = now + .milliseconds(600)
        report([9], late: [])
        now = now + .milliseconds(600)
        engine.tick(at: now, into: &effects)
        #expect(engine.evidence(of: Self.two)?.counted == 1)
    }

    @Test("unknown is not dead: weight 255 until something is known")
    mutating func unknown() {
        #expect(
            engine.word(of: Self.two) == LivenessWord(verdict: .unknown, weight: 255, generation: 0)
        )
        now = now + .seconds(60)
        engine.tick(at: now, into: &effects)
        #expect(verdict() == .unknown)
        #expect(effects.words.isEmpty)
    }

    @Test("one store per death ends the open flows, and one only")
    mutating func endsFlows() {
        report([0, 0])
        for missed in 1...9 {
            now = now + .milliseconds(200)
            report([missed, missed])
        }
        #expect(effects.words.count { $0.endsFlows } == 1)
        #expect(effects.words.map(\.word.verdict) == [.up, .suspect, .unreachable])
    }

    @Test("a relay silent for more than 700 ms isn't counted; with none left nothing changes")
    mutating func stale() {
        report([0, 0, 0])
        settle()
        report([2, 2, 2])
        #expect(verdict() == .suspect)
        now = now + .milliseconds(701)
        engine.tick(at: now, into: &effects)
        #expect(engine.evidence(of: Self.two)?.counted == 0)
        #expect(verdict() == .suspect)
    }

    @Test("the first relay to report is no quorum of one until the others had their chance")
    mutating func settling() {
        report([9])
        #expect(verdict() == .unknown)
        report([9, 0, 0])
        now = now + .milliseconds(250)
        report([9, 0, 0])
        #expect(verdict() == .up)
    }

    @Test("a report that was overtaken by a later one is ignored")
    mutating func overtaken() {
        report([0, 0])
        sequence -= 1
        report([9, 9])
        #expect(verdict() == .up)
    }

    @Test(
        "a restart changes no word",
        arguments: [
            LivenessWord(verdict: .up, weight: 255, generation: 4),
            LivenessWord(verdict: .unreachable, weight: 0, generation: 5),
            LivenessWord(verdict: .draining, weight: 0, generation: 6),
        ])
    mutating func restored(word: LivenessWord) {
        engine = VerdictEngine()
        engine.add(Self.two, restoring: word, at: now)
        engine.tick(at: now, into: &effects)
        #expect(effects.words.isEmpty)
        #expect(engine.word(of: Self.two) == word)
    }

    @Test(
        "a restored drain stands until the cluster itself is heard, whatever paths are still mute")
    mutating func restoredDrain() {
        engine = VerdictEngine()
        let word = LivenessWord(verdict: .draining, weight: 0, generation: 6)
        engine.add(Self.two, restoring: word, at: now)
        engine.receive(
            RelayReport(
                relay: "a", sequence: 1, instance: 1, isAbstaining: false,
                paths: [
                    PathStatus(
                        remote: NodeID(cluster: Self.two, name: "r")!, state: .unknown, missed: 0,
                        beats: 0, silence: nil, roundTrip: nil, drain: .never, head: .origin,
                        relaySetGeneration: 0)
                ]),
            at: now, into: &effects)
        #expect(engine.word(of: Self.two) == word)
        report([0, 0])
        #expect(verdict() == .probation)
    }

    @Test("a restored ramp goes on where it was")
    mutating func restoredRamp() {
        engine = VerdictEngine()
        let half = LivenessWord(verdict: .probation, weight: 127, generation: 2)
        engine.add(Self.two, restoring: half, at: now)
        now = now + .milliseconds(15_200)
        engine.tick(at: now, into: &effects)
        #expect(
            engine.word(of: Self.two) == LivenessWord(verdict: .up, weight: 255, generation: 2))
    }

    @Test("a weight below full outlives a restart, until the cluster speaks of its capacity")
    mutating func restoredWeight() {
        engine = VerdictEngine()
        let word = LivenessWord(verdict: .up, weight: 102, generation: 2)
        engine.add(Self.two, restoring: word, at: now)
        engine.tick(at: now, into: &effects)
        #expect(engine.word(of: Self.two) == word)
        now = now + .seconds(30)
        engine.tick(at: now, into: &effects)
        #expect(engine.word(of: Self.two) == word, "nobody is heard")
        report([0], capacity: Workload(capacity: 10, used: 9))
        #expect(engine.word(of: Self.two) == word, "as the law has it")
    }

    @Test("slow start goes on at the weight that its capacity leaves a cluster, and never at none")
    mutating func rampOfFullCluster() {
        report([0, 0], capacity: Workload(capacity: 100, used: 100))
        report([0, 0], drain: DrainDeclaration(generation: 1, isDraining: true))
        now = now + .seconds(5)
        report(
            [0, 0], drain: DrainDeclaration(generation: 1, isDraining: true),
            capacity: Workload(capacity: 100, used: 100))
        #expect(engine.word(of: Self.two)?.weight == 0)
        report(
            [0, 0], drain: DrainDeclaration(generation: 2, isDraining: false),
            capacity: Workload(capacity: 100, used: 100))
        #expect(
            engine.word(of: Self.two)
                == LivenessWord(verdict: .probation, weight: 2, generation: 0))
    }

    @Test("a ramp wakes its owner twice a second, whether or not there is a step to write")
    mutating func wakes() throws {
        engine = VerdictEngine()
        engine.add(
            Self.two, restoring: LivenessWord(verdict: .probation, weight: 25, generation: 2),
            at: now)
        let end = now + .seconds(40)
        var wakes = 0
        while let wake = engine.nextWake, wake < end {
            #expect(wake > now)
            now = wake
            engine.tick(at: now, into: &effects)
            wakes += 1
        }
        #expect(verdict() == .up)
        #expect(wakes <= 62)
        #expect(effects.words.count > 45)
    }

    @Test("of two clusters in use, one silent is given up and two together are not")
    mutating func doubt() {
        engine.use([Self.two, Self.three], at: now, into: &effects)
        report([0, 0])
        report([0, 0], of: Self.three)
        now = now + .milliseconds(460)
        report([2, 2])
        #expect(verdict() == .suspect)
        now = now + .milliseconds(200)
        report([3, 3])
        #expect(verdict() == .suspect, "the other hasn't been heard since: wait")
        report([0, 0], of: Self.three)
        #expect(verdict() == .unreachable)
        #expect(!engine.isDoubtingItself)
    }

    @Test("both together are doubted, and not given up one by one when they come back")
    mutating func doubtOutlasts() {
        engine.use([Self.two, Self.three], at: now, into: &effects)
        report([0, 0])
        report([0, 0], of: Self.three)
        for missed in 1...20 {
            now = now + .milliseconds(200)
            report([missed, missed])
            report([missed, missed], of: Self.three)
        }
        #expect(engine.isDoubtingItself)
        #expect(verdict() == .suspect)
        #expect(verdict(Self.three) == .suspect)
        report([0, 0], of: Self.three)
        #expect(verdict(Self.three) == .up)
        #expect(verdict() == .suspect, "it may come back as well")
        for missed in 21...25 {
            #expect(verdict() == .suspect)
            now = now + .milliseconds(200)
            report([0, 0], of: Self.three)
            report([missed, missed])
        }
        #expect(verdict() == .unreachable)
        #expect(!engine.isDoubtingItself)
    }

    @Test("the owner's drain is obeyed, by the highest generation, and ends in a ramp")
    mutating func drain() {
        report([0, 0])
        report([0, 0], drain: DrainDeclaration(generation: 2, isDraining: true))
        #expect(verdict() == .draining)
        report([0, 0], drain: DrainDeclaration(generation: 1, isDraining: false))
        #expect(verdict() == .draining, "an older declaration")
        engine.declare(
            DrainDeclaration(generation: 3, isDraining: false), by: Self.two, at: now,
            into: &effects)
        #expect(
            engine.word(of: Self.two)
                == LivenessWord(verdict: .probation, weight: 25, generation: 0)
        )
    }
}
