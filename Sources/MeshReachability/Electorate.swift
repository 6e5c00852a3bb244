// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Self-doubt (b): before a cluster is called unreachable, the others in use are asked whether the
/// fault could be mine. They answer by being heard, or not, since the candidate fell silent.
///
/// Clusters that fall silent with me at fault don't do so at the same instant: margins and loss
/// differ. So one that merely hasn't been heard since is waited for, which takes one of its beats, and
/// only a silent one counts as evidence for doubt. One that was already given up a doubt window before
/// has no vote; one still suspect has, however long, for that is what doubt has kept it. A
/// cluster without a counted path has none either.
///
/// With exactly two clusters in use both must be silent, for one is not more than half. With a single
/// one there is nobody to ask.
struct Electorate {
    enum Verdict {
        case trustMyself
        /// Not enough others heard yet, and not enough silent.
        case wait
        case doubtMyself
    }

    let verdict: Verdict

    init(_ inUse: [Standing], on candidate: Standing, window: Duration) {
        guard let since = candidate.silentSince else {
            verdict = .trustMyself
            return
        }
        var voters = 0
        var silent = 0
        var unheard = 0
        for standing in inUse where standing.base != .unknown && standing.evidence.counted > 0 {
            if let fell = standing.silentSince {
                if standing.base == .unreachable, since - fell > window { continue }
                silent += 1
            } else if standing.lastHeard.map({ $0 < since }) ?? true {
                unheard += 1
            }
            voters += 1
        }
        if voters < 2 || (silent + unheard) * 2 <= voters {
            verdict = .trustMyself
        } else {
            verdict = silent * 2 > voters ? .doubtMyself : .wait
        }
    }
}
