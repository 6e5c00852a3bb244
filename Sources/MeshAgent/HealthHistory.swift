// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

/// What changed a belief about a cluster or a node lately, in the words an operator gets: which
/// relay, which path, what was missed, what was done. The newest ``capacity`` entries.
struct HealthHistory: Sendable {
    /// An hour of a link that flaps once a minute, with six paths.
    static let capacity = 512

    struct Entry: Sendable {
        let at: Instant
        /// Nil: about this node itself.
        let cluster: ClusterID?
        /// Set where it is about one node of the cluster.
        let node: String?
        let text: String
    }

    /// Oldest first.
    private(set) var entries: [Entry] = []
    /// Those that were there before the oldest.
    private(set) var forgotten: UInt64 = 0

    mutating func note(
        _ cluster: ClusterID?, node: String? = nil, at now: Instant, _ text: String
    ) {
        entries.append(Entry(at: now, cluster: cluster, node: node, text: text))
        if entries.count > Self.capacity {
            forgotten += UInt64(entries.count - Self.capacity)
            entries.removeFirst(entries.count - Self.capacity)
        }
    }

    /// What a relay's report says of its paths that its previous one didn't.
    mutating func note(_ report: RelayReport, after former: RelayReport?, at now: Instant) {
        if report.isAbstaining != former?.isAbstaining ?? false {
            note(
                nil, at: now,
                report.isAbstaining
                    ? "relay \(report.relay) was held up itself: its paths don't count for now"
                    : "relay \(report.relay) is on time again")
        }
        // Several times a second, nearly always the same.
        let isSame = former?.paths.elementsEqual(report.paths) {
            $0.remote == $1.remote && $0.state == $1.state
        }
        if isSame == true { return }
        let before = Dictionary(
            (former?.paths ?? []).map { ($0.remote, $0.state) }, uniquingKeysWith: { $1 })
        for path in report.paths where path.state != before[path.remote] ?? .unknown {
            let silence = path.silence.map { ", silent for \($0.milliseconds) ms" } ?? ""
            let text =
                switch path.state {
                case .up: "relay \(report.relay) hears \(path.remote.name)"
                case _ where path.overlayIsSilent:
                    "relay \(report.relay) and \(path.remote.name): the underlay answers, the "
                        + "overlay doesn't, \(path.insideMissed ?? 0) heartbeats missing inside"
                case .suspect:
                    "relay \(report.relay) misses \(path.missed) heartbeats of "
                        + "\(path.remote.name)\(silence)"
                case .down:
                    "relay \(report.relay) no longer hears \(path.remote.name): "
                        + "\(path.missed) heartbeats missing\(silence)"
                case .unknown: "relay \(report.relay) has not heard \(path.remote.name) yet"
                }
            note(path.remote.cluster, at: now, text)
        }
    }

    mutating func note(_ set: RelaySetRecord, of cluster: ClusterID, at now: Instant) {
        note(
            cluster, at: now,
            "its relays are \(set.relays.joined(separator: ", ")) (generation \(set.generation))")
    }

    mutating func note(_ event: VerdictEvent, at now: Instant) {
        switch event {
        case .verdictChanged(let cluster, let from, let to, let evidence):
            note(
                cluster, at: now,
                "\(from) → \(to): of \(evidence.counted) paths \(evidence.up) up, "
                    + "\(evidence.suspect) suspect or down, \(evidence.missed) heartbeats missing"
                    + (evidence.isOverlayOnly
                        ? ": the underlay answers, the overlay doesn't" : "")
                    + (evidence.isContradicted ? ", most backends don't answer; " : "; ")
                    + Self.consequence(of: to))
        case .selfDoubtBegan(let silent, let inUse):
            for cluster in silent {
                note(
                    cluster, at: now,
                    "\(silent.count) of \(inUse) clusters fell silent within a second: taken for "
                        + "this side's fault, flows are left alone")
            }
        case .selfDoubtEnded: note(nil, at: now, "clusters are heard again one by one")
        case .suppressed(let cluster, let penalty):
            note(
                cluster, at: now,
                "came and went too often (penalty \(Int(penalty))): stays out for now")
        case .suppressionEnded(let cluster): note(cluster, at: now, "may return")
        case .drainDeclared(let cluster, let drain):
            note(
                cluster, at: now,
                drain.isDraining ? "says that it drains" : "says that it no longer drains")
        case .capacityShort(let cluster, let workload):
            note(
                cluster, at: now,
                "uses \(Int(workload.share * 100)) % of its capacity: its weight falls with what is "
                    + "left")
        case .capacityAmple(let cluster):
            note(cluster, at: now, "has room again: its weight is full")
        }
    }

    private static func consequence(of verdict: Verdict) -> String {
        switch verdict {
        case .unknown: "nothing changes until it is heard"
        case .up: "it gets its share of new flows"
        case .suspect: "no new flows while others serve, open ones are left alone"
        case .unreachable: "no new flows, open ones are reset"
        case .probation: "it gets a growing share of new flows"
        case .draining: "no new flows, open ones finish"
        }
    }

    mutating func note(_ change: NodeChange, at now: Instant) {
        let text =
            switch change.word.verdict {
            case .unreachable: "is dead: its backends get no new flows, open ones are reset"
            case .draining: "leaves: its backends get no new flows, open ones finish"
            default: "is live: its backends are used"
            }
        note(change.node.cluster, node: change.node.name, at: now, text)
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
