// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshTransport
import Testing

@testable import MeshAgent

/// A heartbeat under way.
struct FlyingBeat {
    let due: Instant
    let from: NodeID
    let to: NodeID
    let beat: Heartbeat
}

/// What one node of a cluster finds out about another one.
struct Judgement {
    let due: Instant
    let observer: NodeID
    let subject: NodeID
    let isLive: Bool
}

// MARK: What members of a cluster hold each other for

extension World {
    /// As gossip does it: a death is known to all after this long,
    static let deathTakes = Duration.milliseconds(1500)
    /// and a life so soon.
    static let lifeTakes = Duration.milliseconds(300)

    func noteStart(of id: NodeID) {
        for other in ids where other != id && other.cluster == id.cluster {
            judgements.append(
                Judgement(
                    due: now + Self.lifeTakes, observer: other, subject: id, isLive: true))
            judgements.append(
                Judgement(
                    due: now + Self.lifeTakes, observer: id, subject: other,
                    isLive: nodes[other]?.agent != nil))
        }
    }

    func noteDeath(of id: NodeID) {
        for other in ids where other != id && other.cluster == id.cluster {
            judgements.append(
                Judgement(
                    due: now + Self.deathTakes, observer: other, subject: id, isLive: false))
        }
    }

    func judge() {
        let due = judgements.filter { $0.due <= now }
        judgements.removeAll { $0.due <= now }
        for judgement in due
        where (nodes[judgement.subject]?.agent != nil) == judgement.isLive {
            act(judgement.observer) {
                $0.judged(judgement.subject.name, isLive: judgement.isLive, at: now, into: &$1)
            }
        }
    }
}

// MARK: Paths

extension World {
    func tellHealth(_ inputs: [HealthInput], of id: NodeID) {
        guard mustDial else { return }
        for input in inputs {
            guard let outcome = nodes[id]?.agent?.health.take(input, at: now) else { return }
            follow(outcome, at: id)
        }
    }

    func beat() {
        guard mustDial else { return }
        let due = heartbeats.filter { $0.due <= now }
        heartbeats.removeAll { $0.due <= now }
        for flying in due {
            let outcome = nodes[flying.to]?.agent?.health.receive(
                flying.beat, from: flying.from, at: now)
            if let outcome { follow(outcome, at: flying.to) }
        }
        for id in ids {
            if let outcome = nodes[id]?.agent?.health.tick(at: now) ?? nil {
                follow(outcome, at: id)
            }
        }
    }

    private func follow(_ outcome: SimulatedHealth.Outcome, at id: NodeID) {
        // Keys are agreed upon over a link.
        for out in outcome.beats where areLinked(id, out.path.remote) {
            heartbeats.append(
                FlyingBeat(
                    due: now + Self.latency, from: id, to: out.path.remote, beat: out.beat))
        }
        if let report = outcome.report {
            act(id) { $0.tellOwn(.paths(report), into: &$1) }
        }
        for change in outcome.words {
            act(id) { [now] in $0.noteVerdict(change, at: now, into: &$1) }
        }
        for (cluster, generation) in outcome.sets {
            act(id) { core, _ in core.heard(ofRelaySet: generation, of: cluster) }
        }
    }

    func wantsLink(_ left: NodeID, _ right: NodeID) -> Bool {
        listsNodes && left.cluster == right.cluster || wantsToDial(left, right)
            || wantsToDial(right, left)
    }

    private func wantsToDial(_ caller: NodeID, _ node: NodeID) -> Bool {
        let address = nodes[node]?.configuration.underlay
        return nodes[caller]?.agent?.core.linkTargets.contains { $0.remote.address == address }
            ?? false
    }

    // MARK: Looking

    func health(_ number: UInt16, _ name: String) -> SimulatedHealth {
        nodes[Self.id(number, name)]!.agent!.health
    }

    func relays(of number: UInt16, seenBy observer: UInt16, _ name: String = "a") -> [String] {
        core(observer, name).relays(of: cluster(number))
    }

    func generation(of number: UInt16, seenBy observer: UInt16, _ name: String = "a") -> UInt64 {
        core(observer, name).tables.relaySets[cluster(number)]?.generation ?? 0
    }

    /// Verdicts that nodes took of other clusters in this life of theirs, but for up.
    var alarms: [String] {
        ids.flatMap { id in
            (nodes[id]?.agent?.health.changes ?? []).filter { $0.word.verdict != .up }.map {
                "\(id): \($0.cluster) \($0.word.verdict.map { "\($0)" } ?? "?")"
            }
        }
    }

    /// Paths between two clusters that both ends have up.
    func paths(_ left: UInt16, _ right: UInt16) -> Set<String> {
        func up(_ number: UInt16, _ other: UInt16) -> Set<[String]> {
            Set(
                ids.filter { $0.cluster == cluster(number) }.flatMap { id in
                    (nodes[id]?.agent?.health.pathsUp(to: cluster(other), at: now) ?? []).map {
                        [id.name, $0]
                    }
                })
        }
        let back = up(right, left)
        return Set(
            up(left, right).filter { back.contains($0.reversed()) }.map {
                $0.joined(separator: "-")
            })
    }
}
