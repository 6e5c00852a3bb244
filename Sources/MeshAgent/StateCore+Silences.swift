// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshReplication

/// What third clusters know of one that is silent here: whether the path failed, or the cluster.
enum Hearsay: Hashable, Sendable {
    /// Its publisher confirmed its state to somebody after it had fallen silent here.
    case lives
    /// Nobody who is linked to this node has had word of it since.
    case unheard
    /// No third cluster is linked.
    case nobodyToAsk

    var sentence: String {
        switch self {
        case .lives: "others have had word of it since: the path failed, not the cluster"
        case .unheard:
            "no other cluster has had word of its publisher since: the cluster failed, not the path"
        case .nobodyToAsk:
            "there is no third cluster to tell a failed path from a failed cluster"
        }
    }
}

/// A cluster that is suspect or unreachable here.
struct Silence: Sendable {
    let since: Instant
    var hearsay: Hearsay?
}

// MARK: Whether the path failed, or the cluster

/// Nothing is asked for it: once a second nodes tell each other anyway how long ago each owner's state
/// was known to be its newest (``Synchroniser/age(of:at:)``), whoever they have it from. If that was
/// after the cluster fell silent here, it lives. It is for people to know: a cluster that lied about it
/// would change a sentence and no verdict.
extension StateCore {
    /// Heartbeats miss for so long before a verdict, and ages leave out the time under way.
    static let hearsayMargin = Duration.seconds(1)
    /// Two hops, each once a second, and as much again. With hundreds of clusters words come later,
    /// and may change this one.
    static let hearsayPatience = Duration.seconds(5)

    mutating func noteVerdict(
        _ change: LivenessChange, at now: Instant, into effects: inout [StateEffect]
    ) {
        let isSilent = [.suspect, .unreachable].contains(change.word.verdict)
        guard isSilent != (silences[change.cluster] != nil) else { return }
        silences[change.cluster] = isSilent ? Silence(since: now) : nil
        if !isSilent { effects.append(.health(.heardSay(nil, of: change.cluster))) }
    }

    mutating func judgeSilences(at now: Instant, into effects: inout [StateEffect]) {
        for (cluster, silence) in silences.sorted(by: { $0.key < $1.key }) {
            guard let hearsay = hearsay(of: cluster, silentSince: silence.since, at: now),
                hearsay != silence.hearsay
            else { continue }
            silences[cluster]?.hearsay = hearsay
            effects.append(.health(.heardSay(hearsay, of: cluster)))
        }
    }

    /// - Returns: nil while it is too early to say.
    private func hearsay(
        of cluster: ClusterID, silentSince since: Instant, at now: Instant
    ) -> Hearsay? {
        let silence = now - since
        if let age = synchroniser.age(of: cluster, at: now), age + Self.hearsayMargin < silence {
            return .lives
        }
        guard silence >= Self.hearsayPatience else { return nil }
        let isLinked = peers.contains { peer in
            peer.id != cluster && peer.id != configuration.cluster
                && (synchroniser.age(of: peer.id, at: now).map { $0 < Self.hearsayPatience }
                    ?? false)
        }
        return isLinked ? .unheard : .nobodyToAsk
    }
}
